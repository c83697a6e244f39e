// A search field above rows in groups. Typing narrows, arrows move, Enter or a click picks.
// `data`: groups of {name, colour, rows: [{id, name, help, settings: {name: words}}]}, the height of the list in pixels, what
// the field says while it is empty, what came of the last pick, and what is said before there was one.
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".kind-list");
  const field = root.querySelector("input");
  const list = root.querySelector(".rows");
  root.querySelector(".said").textContent = data.said || data.hint;
  field.placeholder = data.placeholder;
  field.setAttribute("aria-label", data.placeholder);
  list.style.maxHeight = `${data.height}px`;
  let at = -1;

  const bare = (text) => text.toLowerCase().replace(/[\s_-]+/g, "");

  // The setting that a word finds best: by its name before what is said of it.
  function settingOf(row, word) {
    const names = Object.keys(row.settings);
    return names.find((name) => bare(name) === word) || names.find((name) => bare(name).includes(word))
      || names.find((name) => bare(row.settings[name]).includes(word));
  }

  // 0 is the name itself; null where the row has not all of the words. `by` names the settings that it was found by.
  function found(row, group, words) {
    let rank = 0;
    const by = [];
    for (const word of words) {
      const name = bare(row.name);
      const setting = settingOf(row, word);
      if (name === word) continue;
      if (name.startsWith(word)) rank = Math.max(rank, 1);
      else if (name.includes(word)) rank = Math.max(rank, 2);
      else if (bare(row.help).includes(word)) rank = Math.max(rank, 3);
      else if (bare(group.name).includes(word)) rank = Math.max(rank, 4);
      else if (setting) {
        rank = Math.max(rank, 5);
        if (!by.includes(setting)) by.push(setting);
      } else return null;
    }
    return { row, rank, by };
  }

  function pick(id) {
    field.value = "";
    draw();
    field.focus();
    const now = performance.timeOrigin + performance.now();
    const told = (root.told ??= []);
    told.push([now, id]);
    while (now - told[0][0] > 5000) told.shift();
    setTriggerValue("picked", [...told]); // told.py says why more than the last
  }

  function button(entry) {
    const made = document.createElement("button");
    made.type = "button";
    made.dataset.id = entry.row.id;
    const name = document.createElement("b");
    const help = document.createElement("span");
    name.textContent = entry.row.name;
    if (entry.by.length) {
      const why = document.createElement("i");
      why.textContent = `${entry.by.join(", ")} `;
      help.append(why);
    }
    help.append(entry.row.help);
    made.append(name, help);
    made.onclick = () => pick(entry.row.id);
    return made;
  }

  function draw() {
    const words = field.value.trim().split(/\s+/).filter(Boolean).map(bare).filter(Boolean);
    const groups = [];
    for (const group of data.groups) {
      const rows = group.rows.map((row) => found(row, group, words)).filter(Boolean);
      rows.sort((one, other) => one.rank - other.rank);
      if (rows.length) groups.push({ group, rows });
    }
    if (words.length) groups.sort((one, other) => one.rows[0].rank - other.rows[0].rank);
    list.replaceChildren();
    for (const { group, rows } of groups) {
      const head = document.createElement("h4");
      head.textContent = group.name;
      head.style.setProperty("--colour", group.colour);
      list.append(head, ...rows.map(button));
    }
    if (!groups.length) {
      const none = document.createElement("div");
      none.className = "none";
      none.textContent = `Nothing is called “${field.value.trim()}” or says so. Try another word, or empty the field.`;
      list.append(none);
    }
    list.scrollTop = 0;
    move(words.length && groups.length ? 0 : -1);
  }

  function move(to) {
    const rows = list.querySelectorAll("button");
    at = Math.min(to, rows.length - 1);
    rows.forEach((row, place) => row.classList.toggle("at", place === at));
    if (at > 0) rows[at].scrollIntoView({ block: "nearest" });
    else list.scrollTop = 0;
  }

  field.oninput = draw;
  field.onkeydown = (event) => {
    if (event.key === "Escape" && !field.value) return; // closes the popover
    event.stopPropagation(); // letters and Ctrl+Z are for the field
    if (event.key === "ArrowDown") move(at + 1);
    else if (event.key === "ArrowUp") move(Math.max(at - 1, 0));
    else if (event.key === "Enter") list.querySelectorAll("button")[at]?.click();
    else if (event.key === "Escape") { field.value = ""; draw(); }
    else return;
    event.preventDefault();
  };

  // It runs again whenever the page does: only another list is drawn anew, so that what is being read does not jump.
  const rows = JSON.stringify(data.groups);
  if (root.dataset.rows !== rows) {
    root.dataset.rows = rows;
    draw();
  } else {
    at = [...list.querySelectorAll("button")].findIndex((row) => row.classList.contains("at"));
    list.querySelectorAll("button").forEach((row) => { row.onclick = () => pick(row.dataset.id); });
  }
  if (data.focus && !root.dataset.begun) field.focus();
  root.dataset.begun = "yes";
}
