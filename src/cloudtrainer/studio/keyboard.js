// What the keys do where the browser has no answer of its own: the names of the parts are no
// buttons to it, and a row of a list can only be clicked.
window.cloudtrainerKeys ??= (() => {
  document.addEventListener('keydown', (event) => {
    const at = event.composedPath()[0];
    if (!(at instanceof Element)) { return; }
    if (at.matches('.bk-tab') && (event.key == 'Enter' || event.key == ' ')) {
      event.preventDefault();
      at.click();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !at.matches('.tabulator-tableholder')) { return; }
    const rows = [...at.querySelectorAll('.tabulator-row')];
    const chosen = rows.findIndex((row) => row.classList.contains('tabulator-selected'));
    // Where several can be marked, each has a box of its own.
    if (chosen < 0 || at.querySelector('input[type=checkbox]')) { return; }
    event.preventDefault();
    rows[chosen + step]?.querySelector('.tabulator-cell').click();
  });
  return true;
})();
