// Ctrl+Z and Ctrl+Shift+Z (or Ctrl+Y) for the graph, on the page and on the canvas; in a field that is written in they are the field's.
export default function (component) {
  const { parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".history-keys");
  const told = (window.historyKeysTold ??= []); // of the page, not of one drawing of it; told.py says why
  const writes = "input:not([type=checkbox]):not([type=radio]):not([type=range]):not([type=button]), textarea, [contenteditable=true]";

  function pressed(event) {
    const letter = event.key.toLowerCase();
    if (!(event.ctrlKey || event.metaKey) || event.altKey || (letter !== "z" && letter !== "y")) return;
    const field = event.composedPath()[0];
    const list = field.getAttribute?.("role") === "combobox"; // its text only narrows what it offers
    if (field.matches?.(writes) && (!list || field.getAttribute("aria-expanded") === "true")) return;
    event.preventDefault();
    if (!root.isConnected) { root.stop(); return; } // drawn anew while its script was still being loaded
    const now = performance.timeOrigin + event.timeStamp;
    if (told.some(([time]) => time === now)) return;
    told.push([now, letter === "y" || event.shiftKey ? 1 : -1]);
    while (now - told[0][0] > 5000) told.shift();
    setTriggerValue("pressed", [...told]);
  }

  root.stop?.(); // it runs again whenever the page does
  const heard = new Set();
  function listen(target) {
    if (!target || heard.has(target)) return;
    heard.add(target);
    target.addEventListener("keydown", pressed);
  }
  function listenAll() {
    listen(document);
    for (const frame of document.querySelectorAll("iframe")) {
      try {
        listen(frame.contentDocument);
      } catch {
        continue; // a frame of another origin keeps its keys
      }
    }
  }
  listenAll();
  document.addEventListener("load", listenAll, true);
  root.stop = () => {
    heard.forEach((target) => target.removeEventListener("keydown", pressed));
    document.removeEventListener("load", listenAll, true);
  };
  return root.stop;
}
