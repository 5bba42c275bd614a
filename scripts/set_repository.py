"""Write the repository's address where it is needed: Colab's badges, the notebook, the package.

    python scripts/set_repository.py https://github.com/OWNER/NAME [--branch main]

The notebook opened by the badge then installs cloudtrainer from there. Run it again after the
repository has moved; nothing else changes.
"""

import argparse
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOTEBOOK = "notebooks/DeepTrack_Cloud_Trainer.ipynb"
ADDRESS = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?")
BRANCH = re.compile(r"[\w./-]+")
BADGE = re.compile(r"\[!\[Open in Colab\][^\n]*\n\n")
LINE_OF_CODE = re.compile(r'REPOSITORY = "[^"\n]*"')
URLS = re.compile(r'\[project\.urls\]\nRepository = "[^"\n]*"\n\n')


def set_repository(address: str, branch: str, root: Path = ROOT) -> None:
    """Write the address into the README, the notebook and ``pyproject.toml`` of a checkout.

    Raises
    ------
    ValueError
        The address is not that of a repository on GitHub, which is where Colab opens notebooks
        from, or the branch has no name of a branch; nothing is written.
    """
    named = ADDRESS.fullmatch(address)
    if named is None:
        raise ValueError(f"{address}: give https://github.com/OWNER/NAME")
    if not BRANCH.fullmatch(branch):
        raise ValueError(f"{branch}: is no name of a branch")
    repository = f"https://github.com/{named[1]}"
    link = f"https://colab.research.google.com/github/{named[1]}/blob/{branch}/{NOTEBOOK}"
    badge = (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({link})\n\n"
    )

    readme = root / "README.md"
    readme.write_text(_below_title(readme.read_text("utf-8"), badge), "utf-8")

    notebook = root / NOTEBOOK
    document = json.loads(notebook.read_text("utf-8"))
    opening, install = document["cells"][:2]
    opening["source"] = _lines(_below_title("".join(opening["source"]), badge))
    source = LINE_OF_CODE.sub(f'REPOSITORY = "{repository}"', "".join(install["source"]))
    install["source"] = _lines(source)
    text = json.dumps(document, indent=1, ensure_ascii=False)
    notebook.write_text(f"{text}\n", "utf-8")

    project = root / "pyproject.toml"
    urls = f'[project.urls]\nRepository = "{repository}"\n\n'
    text = URLS.sub("", project.read_text("utf-8"))
    before = "[project.optional-dependencies]\n"
    project.write_text(text.replace(before, urls + before), "utf-8")


def _below_title(text: str, badge: str) -> str:
    title, rest = BADGE.sub("", text).split("\n\n", 1)
    return f"{title}\n\n{badge}{rest}"


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("--branch", default="main")
    asked = parser.parse_args()
    try:
        set_repository(asked.address, asked.branch)
    except ValueError as wrong:
        parser.error(str(wrong))
