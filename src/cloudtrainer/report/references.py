"""The papers that a methods section may cite, numbered in the order in which it does."""

PAPERS = {
    "backlund": "M. P. Backlund, R. Joyner and W. E. Moerner, Phys. Rev. E 91, 062716 (2015)",
    "bell": "R. M. Bell and D. F. McCaffrey, Surv. Methodol. 28, 169 (2002)",
    "berglund": "A. J. Berglund, Phys. Rev. E 82, 011917 (2010), doi:10.1103/PhysRevE.82.011917",
    "crocker": "J. C. Crocker and D. G. Grier, J. Colloid Interface Sci. 179, 298 (1996), "
    "doi:10.1006/jcis.1996.0217",
    "efron": "B. Efron, Ann. Stat. 7, 1 (1979), doi:10.1214/aos/1176344552",
    "gourieroux": "C. Gourieroux, A. Monfort and E. Renault, J. Appl. Econometrics 8, S85 (1993)",
    "hall": "P. Hall, J. R. Stat. Soc. B 54, 221 (1992)",
    "kruskal": "W. H. Kruskal and W. A. Wallis, J. Am. Stat. Assoc. 47, 583 (1952), "
    "doi:10.1080/01621459.1952.10483441",
    "mackinnon": "J. G. MacKinnon and H. White, J. Econometrics 29, 305 (1985)",
    "mandelbrot": "B. B. Mandelbrot and J. W. Van Ness, SIAM Rev. 10, 422 (1968), "
    "doi:10.1137/1010093",
    "michalet": "X. Michalet and A. J. Berglund, Phys. Rev. E 85, 061916 (2012), "
    "doi:10.1103/PhysRevE.85.061916",
    "neumann": "J. von Neumann, Ann. Math. Stat. 12, 367 (1941), doi:10.1214/aoms/1177731677",
    "robbins": "H. Robbins, Proc. 3rd Berkeley Symp. Math. Stat. Prob. 1, 157 (1956)",
    "ronneberger": "O. Ronneberger, P. Fischer and T. Brox, Lect. Notes Comput. Sci. 9351, 234 "
    "(2015), doi:10.1007/978-3-319-24574-4_28",
    "semrau": "S. Semrau and T. Schmidt, Biophys. J. 92, 613 (2007), "
    "doi:10.1529/biophysj.106.092577",
    "vestergaard": "C. L. Vestergaard, P. C. Blainey and H. Flyvbjerg, Phys. Rev. E 89, 022726 "
    "(2014), doi:10.1103/PhysRevE.89.022726",
    "welch": "B. L. Welch, Biometrika 34, 28 (1947), doi:10.1093/biomet/34.1-2.28",
}


class References:
    """The papers that were cited so far."""

    def __init__(self) -> None:
        self._cited: list[str] = []

    def cite(self, *papers: str) -> str:
        """Return ``[1]`` or ``[1, 2]``; a paper keeps the number of its first citation."""
        for paper in papers:
            if paper not in self._cited:
                self._cited.append(paper)
        numbers = sorted(self._cited.index(paper) + 1 for paper in papers)
        return f"[{', '.join(map(str, numbers))}]"

    def lines(self) -> list[str]:
        """Return one line a paper, in the order of the numbers."""
        return [f"[{number}] {PAPERS[key]}" for number, key in enumerate(self._cited, 1)]
