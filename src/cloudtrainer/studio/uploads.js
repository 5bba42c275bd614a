// Sends files to the page's own server, piece by piece as they lie on the disk, one after the
// other, and shows how far each is. Made once in a tab; every button and the drop share it.
const uploads = (window.cloudtrainerUploads ??= (() => {
  const CLOSED_AFTER_MS = 8000;
  const waiting = [];
  let busy = false;
  let shown = null;
  let refused = false;

  const element = (tag, style, parent) => {
    const made = document.createElement(tag);
    made.style.cssText = style;
    parent.appendChild(made);
    return made;
  };

  const hide = () => { shown?.parentElement.remove(); shown = null; refused = false; };

  // A list at the lower right, whatever part of the page is open.
  const list = () => {
    if (shown) { return shown; }
    const box = element('section',
      'position:fixed;right:14px;bottom:14px;width:390px;max-height:45vh;overflow:auto;z-index:999;' +
      'background:#fff;border:1px solid #8a8a8a;border-radius:6px;padding:8px 12px;font-size:13px;' +
      'box-shadow:0 3px 12px rgba(0,0,0,.3)', document.body);
    box.setAttribute('aria-label', 'Files that are sent');
    const head = element('div', 'display:flex;font-weight:600;margin-bottom:4px', box);
    element('span', 'flex:1', head).textContent = 'Files';
    const close = element('button', 'font-size:13px', head);
    close.textContent = 'Close';
    close.onclick = hide;
    box.close = close;
    const rows = element('div', '', box);
    rows.setAttribute('role', 'status');
    shown = rows;
    return rows;
  };

  // What was refused stays until it was read; the rest would only hide the page.
  const closeSoon = () => {
    const rows = shown;
    setTimeout(() => {
      if (shown === rows && !busy && !refused) { hide(); }
    }, CLOSED_AFTER_MS);
  };

  const size = (bytes) => bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB`
    : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;

  const addRow = (name) => {
    const row = element('div', 'border-top:1px solid #ddd;padding:4px 0', list());
    element('div', 'overflow-wrap:anywhere', row).textContent = name;
    const bar = element('progress', 'width:100%;height:10px', row);
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute('aria-label', name);
    const text = element('div', 'overflow-wrap:anywhere', row);
    return {
      part: (share, words) => { bar.value = share; text.textContent = words; },
      wait: (words) => { bar.removeAttribute('value'); text.textContent = words; },
      end: (good, words) => {
        bar.remove();
        text.textContent = words;
        text.style.color = good ? '#007a58' : '#a33b00';
        refused ||= !good;
        row.scrollIntoView({ block: 'nearest' });
      },
    };
  };

  const next = () => {
    const one = waiting.shift();
    busy = Boolean(one);
    if (!one) { closeSoon(); return; }
    const { file, row, batch } = one;
    const end = (good, words) => {
      row.end(good, words);
      batch.said.push([good ? 'good' : 'wrong', words]);
      batch.names.push(file.name);
      batch.say(batch);
      next();
    };
    const request = new XMLHttpRequest();
    request.upload.onprogress = (event) => {
      const share = event.loaded / Math.max(1, event.total);
      row.part(share, `${Math.round(100 * share)} % of ${size(event.total)}`);
    };
    request.upload.onload = () => row.wait('looking at it ...');
    request.onload = () => end(request.status == 200,
      request.responseText || `${file.name}: refused (${request.status})`);
    request.onerror = () => end(false,
      `${file.name}: the connection broke off, nothing was kept; send it again`);
    request.open('POST', batch.to + '?name=' + encodeURIComponent(file.name));
    request.setRequestHeader('X-Cloudtrainer', 'upload');
    row.part(0, 'begins ...');
    request.send(file);
  };

  const isTable = (file) => /\.(csv|xml|parquet)$/i.test(file.name);

  const send = (files, folders, to, say) => {
    const batch = { to, say, said: [], names: [] };
    // Labels are held against their video, which must be there before them.
    const inOrder = [...files].sort((a, b) => isTable(a) - isTable(b));
    for (const name of folders) {
      const words = `${name}: is a folder; add it by its path on this machine`;
      addRow(name).end(false, words);
      batch.said.push(['wrong', words]);
      batch.names.push(name);
    }
    if (folders.length && !inOrder.length) { say(batch); }
    for (const file of inOrder) {
      const row = addRow(file.name);
      row.part(0, 'waiting');
      waiting.push({ file, row, batch });
    }
    if (!busy) { next(); }
  };

  const choose = (accept, to, say) => {
    document.getElementById('cloudtrainer-files')?.remove();
    const input = element('input', 'display:none', document.body);
    input.type = 'file';
    input.multiple = true;
    input.accept = accept;
    input.id = 'cloudtrainer-files';
    input.onchange = () => { send(input.files, [], to, say); input.remove(); };
    input.click();
  };

  const takeDrops = (to, say) => {
    let cover = null;
    const uncover = () => { cover?.remove(); cover = null; };
    const holdsFiles = (event) => event.dataTransfer?.types.includes('Files');
    // Without this the browser would leave the page and show the file instead.
    window.addEventListener('dragover', (event) => {
      if (!holdsFiles(event)) { return; }
      event.preventDefault();
      if (cover) { return; }
      cover = element('div',
        'position:fixed;inset:8px;z-index:998;border:4px dashed #0072B2;border-radius:10px;' +
        'background:rgba(214,231,243,.85);display:flex;align-items:center;justify-content:center;' +
        'font-size:22px;pointer-events:none', document.body);
      cover.textContent = 'Drop videos, labels and models here: they are copied into the workspace';
    });
    window.addEventListener('dragleave', (event) => { if (!event.relatedTarget) { uncover(); } });
    window.addEventListener('drop', (event) => {
      uncover();
      if (!holdsFiles(event)) { return; }
      event.preventDefault();
      const entries = [...event.dataTransfer.items].filter((one) => one.kind == 'file')
        .map((one) => ({ file: one.getAsFile(), folder: one.webkitGetAsEntry?.()?.isDirectory }));
      const files = entries.filter((one) => one.file && !one.folder).map((one) => one.file);
      const folders = entries.filter((one) => one.folder).map((one) => one.file?.name ?? 'folder');
      send(files, folders, to, say);
    });
  };

  window.addEventListener('beforeunload', (event) => { if (busy) { event.preventDefault(); } });
  return { choose, takeDrops };
})());
const say = (batch) => {
  said.value = JSON.stringify([batch.said, batch.names, Date.now()]);
};
