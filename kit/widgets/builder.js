// The page of ConfigListBuilder. All that it shows is in the trait `view`, and all that a person does goes to
// Python as a message.

const MARKS = { ok: "✔", warning: "▲", error: "✖" };
const STATES = { ok: "no problem", warning: "a warning", error: "to fix" };
const TABS = ["Python", "JSON", "Filter", "Agent"];
const PATIENCE = 3000;  // milliseconds until the form says that no answer comes
const mark = (state) => h("span", { class: `kit-mark kit-${state}`, "aria-hidden": "true" }, MARKS[state] ?? "");
// A long name may break before a capital letter and after a slash, before it has to break anywhere.
const breakable = (text) => text.split(/(?<=[a-z])(?=[A-Z])|(?<=\/)/).flatMap((part, at) => (at ? [h("wbr"), part] : part));

function render({ model, el }) {
  const id = `kit-builder-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  // What only this page knows: the open menu, what waits for an answer of Python, what is dragged.
  const own = { menu: null, pasting: false, keyed: false, listing: "", dragged: null, over: null };
  let sent = 0, waiting = null, late = 0, selected = -1;

  // Send a message; when its answer is on the page, do `then`, which mostly says where the focus goes.
  function send(what, more, then) {
    const turn = `${id} ${++sent}`;
    waiting = { turn, then: then ?? waiting?.then };
    model.send({ do: what, turn, ...more });
    clearTimeout(late);
    late = setTimeout(() => { own.late = true; draw(); }, PATIENCE);
  }
  // A button that can't be used looks so; it keeps the focus if it has it, but the Tab key passes it by.
  const usable = (can) => (can ? {} : { "aria-disabled": true, tabindex: "-1" });
  const find = (name) => [...el.querySelectorAll("[id]")].find((element) => element.id === `${id}-${name}`);
  function focus(name) {
    const target = find(name);
    for (let fold = target; (fold = fold?.parentElement?.closest("details")); ) fold.open = true;
    target?.focus();
  }
  function show(changes, name) {
    Object.assign(own, changes);
    draw();
    if (name) focus(name);
  }

  // Header -------------------------------------------------------------------------------------------------

  function header(view) {
    const count = view.entries.length;
    const state = view.errors ? ["error", `✖ ${view.errors} ${view.errors > 1 ? "errors" : "error"}`]
      : view.warnings ? ["warning", `▲ ${view.warnings} to look at`] : ["ok", "✔ no errors"];
    return h("div", { class: "kit-header", key: "header" },
      h("div", { class: "kit-file", key: "file" },
        h("input", { id: `${id}-file`, value: view.path, spellcheck: "false", autocomplete: "off", "aria-label": "File",
          onchange: (event) => send("path", { text: event.target.value }) })),
      h("div", { class: "kit-chips", key: "chips" },
        h("span", { class: "kit-chip" }, count === 1 ? "1 entry" : `${count} entries`),
        count ? h("span", { class: `kit-chip kit-${state[0]}` }, state[1]) : null,
        view.changed ? h("span", { class: "kit-chip kit-warning" }, "● unsaved") : null),
      h("div", { class: "kit-actions", key: "actions" },
        button("Undo", () => send("undo"), usable(view.canUndo)),
        button("Redo", () => send("redo"), usable(view.canRedo)),
        button("Open", () => send("open"), { title: "Load the file" }),
        button(view.saveAs ? "Save as" : "Save", () => send("save"), { class: "kit-button kit-primary", key: "Save",
          "aria-keyshortcuts": "Control+S", title: "Ctrl+S", ...usable(view.canSave) })));
  }

  // Entries ------------------------------------------------------------------------------------------------

  function entries(view) {
    return h("div", { class: "kit-entries", key: "entries", role: "group", "aria-label": "Entries" },
      h("div", { class: "kit-place", key: "add" },
        button("+ Add entry", () => toggle("add"), { id: `${id}-add`, "aria-haspopup": "menu",
          "aria-expanded": own.menu === "add", class: "kit-button kit-wide" }),
        own.menu === "add" ? menu("Presets", "add", view.presets.map((preset) =>
          [preset, () => send("add", { text: preset }, () => focus("model"))])) : null),
      view.entries.length
        ? h("ul", { key: "list", class: "kit-list" }, view.entries.map((entry, index) => card(view, entry, index)))
        : null,
      own.menu?.startsWith?.("card") ? cardMenu(view, Number(own.menu.slice(5))) : null,
      own.pasting ? paste() : h("button", { type: "button", class: "kit-link", key: "import", id: `${id}-import`,
        onclick: () => show({ pasting: true }, "paste") }, "Paste or import a list…"));
  }

  function paste() {
    const leave = () => show({ pasting: false }, "import");
    const use = () => {
      const input = find("paste"), text = input.value;
      input.value = "";  // it may hold keys
      leave();
      send("paste", { text }, () => focus(model.get("view").question ? "yes" : "import"));
    };
    return h("div", { class: "kit-paste", key: "paste" },
      h("label", { for: `${id}-paste`, key: "label" }, "A list, in whatever state"),
      h("textarea", { id: `${id}-paste`, key: "input", rows: 6, spellcheck: "false", autocomplete: "off" }),
      h("div", { class: "kit-beside", key: "buttons" },
        button("Use this text", use, { class: "kit-button kit-primary" }), button("Close", leave)));
  }

  function card(view, entry, index) {
    const keys = (event) => {
      const to = { ArrowUp: index - 1, ArrowDown: index + 1, Home: 0, End: view.entries.length - 1 }[event.key];
      if (to === undefined || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      if (to < 0 || to >= view.entries.length || to === index) return;
      send(event.altKey ? "move" : "select", event.altKey ? { index, to } : { index: to }, () => focus(`card-${to}`));
    };
    const drop = (event) => {
      event.preventDefault();
      event.stopPropagation();
      const from = own.dragged;
      show({ dragged: null, over: null });
      if (from !== null && from !== index) send("move", { index: from, to: index });
    };
    return h("li", { key: `card ${index}`, draggable: "true",
        class: `kit-card${index === view.selected ? " kit-selected" : ""}${own.over === index ? " kit-over" : ""}`,
        ondragstart: (event) => { own.dragged = index; event.dataTransfer.setData("text/plain", ""); },
        ondragend: () => show({ dragged: null, over: null }),
        ondragover: (event) => {
          event.preventDefault();
          if (own.over !== index) show({ over: index });
        },
        ondrop: drop },
      h("button", { type: "button", class: "kit-choose", id: `${id}-card-${index}`, key: "choose",
          "aria-current": index === view.selected ? "true" : null, title: "Alt and an arrow key move it",
          "aria-label": `Entry ${index}: ${entry.title}, ${entry.where}, ${STATES[entry.state]}`,
          onclick: () => send("select", { index }), onkeydown: keys },
        mark(entry.state),
        h("span", { class: "kit-title" }, breakable(entry.title)),
        h("span", { class: "kit-where" }, breakable(entry.where))),
      h("button", { type: "button", class: "kit-dots", id: `${id}-dots-${index}`, key: "dots", "aria-haspopup": "menu",
        "aria-label": `What to do with entry ${index}`, "aria-expanded": own.menu === `card ${index}`,
        onclick: () => toggle(`card ${index}`) }, "⋮"));
  }

  // Beside the list, not in it: the list scrolls, and would cut the menu.
  function cardMenu(view, index) {
    const last = view.entries.length - 1, place = find(`dots-${index}`);
    const top = place ? place.getBoundingClientRect().bottom - place.closest(".kit-entries").getBoundingClientRect().top : 0;
    const act = (what, more, to) => () =>
      send(what, { index, ...more }, () => focus(model.get("view").entries.length ? `dots-${to}` : "add"));
    return menu(`Entry ${index}`, `dots-${index}`, [
      ["Duplicate", act("duplicate", {}, index + 1)],
      ["Remove", act("remove", {}, Math.min(index, last - 1))],
      ...(index > 0 ? [["Move up", act("move", { to: index - 1 }, index - 1)]] : []),
      ...(index < last ? [["Move down", act("move", { to: index + 1 }, index + 1)]] : []),
    ], `top: min(${Math.round(top)}px, calc(100% - 140px))`);
  }

  // Menus --------------------------------------------------------------------------------------------------

  function toggle(name) {
    show({ menu: own.menu === name ? null : name });
    if (own.menu) el.querySelector("[role=menuitem]")?.focus();
  }

  function menu(name, opener, items, style) {
    const close = () => show({ menu: null }, opener);
    const keys = (event) => {
      const all = [...event.currentTarget.children], at = all.indexOf(event.target);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
      if (to !== undefined) {
        event.preventDefault();
        event.stopPropagation();
        all[(to + all.length) % all.length].focus();
      } else if (event.key === "Escape") {
        event.stopPropagation();
        close();
      } else if (event.key === "Tab") close();  // and on it goes from where the menu was opened
    };
    return h("div", { class: "kit-menu", role: "menu", "aria-label": name, key: "menu", onkeydown: keys, style: style ?? null },
      items.map(([text, action]) => h("button", { type: "button", role: "menuitem", tabindex: "-1", key: text,
        onclick: () => { close(); action(); } }, text)));
  }

  // The selected entry -------------------------------------------------------------------------------------

  function row(name, label, value, verdict, help, change, more = {}) {
    const { list, beside, fix, area, open, ...rest } = more;
    const shared = {
      id: `${id}-${name}`, value, spellcheck: "false", autocomplete: "off", "aria-describedby": `${id}-${name}-under`,
      "aria-invalid": verdict?.mark === "error", onchange: (event) => change(event.target.value), ...rest,
    };
    return h("div", { class: `kit-field${area ? " kit-area" : ""}`, key: name },
      h("label", { for: `${id}-${name}`, key: "label" }, label),
      h("div", { class: "kit-beside kit-place", key: "input" },
        area ? h("textarea", { ...shared, rows: 4 }) : h("input", { ...shared, list: list?.length ? `${id}-${name}-list` : null }),
        beside ?? null, open ?? null),
      list?.length ? h("datalist", { id: `${id}-${name}-list`, key: "list" }, list.map((one) => h("option", { value: one }))) : null,
      h("div", { class: "kit-under", key: "under" },
        h("span", { id: `${id}-${name}-under`, class: verdict ? `kit-${verdict.mark}` : "", key: "text" },
          verdict ? [`${MARKS[verdict.mark] ?? ""} ${verdict.text} `.trimStart(), verdict.mark === "ok" ? help : ""] : help),
        fix ? h("button", { type: "button", class: "kit-link", key: "fix", onclick: fix.do }, fix.text) : null));
  }

  function field(view, one) {
    const fix = one.fix ? { text: one.fix, do: () => send("fix", { field: one.name }) } : null;
    const change = (text) => send("set", { field: one.name, text });
    const more = { fix, placeholder: /number/.test(one.kind) ? "default" : null };
    if (one.name === "stream") more.list = ["yes", "no"];
    const choice = { model: modelChoice, model_client_cls: classChoice }[one.name]?.(view);
    if (choice) {
      more.list = choice.list;
      more.beside = choice.text
        ? button(choice.text, choice.press, { id: `${id}-${one.name}-choose`, "aria-haspopup": "menu", key: "choose",
          "aria-expanded": own.menu === one.name }) : null;
      more.open = own.menu === one.name ? menu(one.label, one.name, choice.list.map((text) =>
        [text, () => send("set", { field: one.name, text })])) : null;
    }
    let verdict = one.verdict;
    if (one.name === "model" && view.server.text && verdict?.mark !== "error") {
      verdict = view.server;
      const address = view.server.address;
      if (address) more.fix = { text: `Use ${address}`, do: () => send("set", { field: "base_url", text: address }) };
    }
    return row(one.name, one.label, one.text, verdict, one.help, change, more);
  }

  function modelChoice(view) {
    const press = view.servers ? () => { own.listing = "model"; send("models"); } : () => toggle("model");
    const text = view.servers ? "List models" : view.models.length ? "Choose a folder" : "";
    return { list: view.models, press, text };
  }

  function classChoice(view) {
    const press = () => { own.listing = "model_client_cls"; send("classes"); };
    return { list: view.classes, press, text: "Find my classes" };
  }

  // Open the menu that was asked for once its list is there, if the reader still waits for it.
  function list(view) {
    const name = own.listing;
    if (!name || view.server.running || view.turn !== waiting?.turn) return;
    own.listing = "";
    const there = { model: view.models, model_client_cls: view.classes }[name].length;
    if (there && find(`${name}-choose`) === el.getRootNode().activeElement) toggle(name);
  }

  function keyRow(key) {
    const close = () => show({ keyed: false }, "variable");
    const typed = h("div", { class: "kit-beside kit-typed", key: "typed" },
      h("input", { type: "password", id: `${id}-key`, "aria-label": "The key itself", autocomplete: "off", key: "input",
        onchange: (event) => {
          const text = event.target.value;
          event.target.value = "";  // at once: it goes to Python, and nowhere else
          close();
          send("key", { text });
        } }),
      button("Cancel", () => { find("key").value = ""; close(); }));
    const verdict = key.verdict ?? (key.state ? { mark: key.mark, text: key.state } : null);
    const named = row("variable", "API key, by its variable's name", key.variable, verdict,
      "The file holds the variable's name, never the key.", (text) => send("variable", { text }),
      { list: key.known, placeholder: "NAME_OF_A_VARIABLE",
        beside: own.keyed ? null : button("Type a key…", () => show({ keyed: true }, "key"), { id: `${id}-type` }) });
    return h("div", { class: "kit-key", key: "key" }, named, own.keyed ? typed : null);
  }

  function fold(name, filled, content) {
    return h("details", { class: "kit-fold", key: name, open: filled > 0 },
      h("summary", { key: "summary" }, filled ? `${name} (${filled} set)` : name), content);
  }

  function entry(view) {
    if (!view.groups.length) {
      return h("div", { class: "kit-entry kit-nothing", key: "nothing" },
        h("p", {}, "No entries yet. Add one from a preset, or paste what you have."),
        h("p", {}, "AutoGen tries the entries of a list in their order, until one answers."));
    }
    const [basic, ...others] = view.groups, extra = view.extra;
    const short = (one) => /number/.test(one.kind);
    const columns = (fields, key) => h("div", { class: "kit-columns", key }, fields.map((one) => field(view, one)));
    const argument = (one) => row(`argument-${one.name}`, one.name, one.text, one.verdict,
      "A literal, or the name of a variable of this notebook.",
      (text) => send("argument", { field: one.name, text }), { placeholder: one.default });
    return h("div", { class: "kit-entry", key: "entry", role: "group", "aria-label": "The selected entry" },
      basic.fields.filter((one) => !short(one)).map((one) => field(view, one)),
      view.key.needed ? keyRow(view.key) : null,
      columns(basic.fields.filter(short), "numbers"),
      others.map((group) => fold(group.name, group.filled, columns(group.fields, "fields"))),
      view.key.needed ? null : fold("API key", view.key.variable ? 1 : 0, keyRow(view.key)),
      view.arguments.length ? fold("Passed at registration", view.arguments.filter((one) => one.text).length,
        h("div", { key: "fields" }, view.arguments.map(argument))) : null,
      fold("Other fields (JSON)", extra.count, row("extra", "Other fields (JSON)", extra.text, extra.verdict, extra.help,
        (text) => send("extra", { text }), { area: true, placeholder: extra.example,
          fix: extra.fix ? { text: extra.fix, do: () => send("fix", { field: extra.name }) } : null })));
  }

  // What it will be ----------------------------------------------------------------------------------------

  function side(view) {
    const choose = (tab) => { send("tab", { text: tab }); focus(`tab-${tab}`); };
    const keys = (event) => {
      const at = TABS.indexOf(view.tab), last = TABS.length - 1;
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(TABS[(to + TABS.length) % TABS.length]);
    };
    const { running, reply, question: asked } = view.trial;
    return h("div", { class: "kit-side", key: "side" },
      h("div", { class: "kit-tabs", role: "tablist", "aria-label": "What the list is", key: "tabs", onkeydown: keys },
        TABS.map((tab) => h("button", { type: "button", role: "tab", id: `${id}-tab-${tab}`, key: tab,
          "aria-selected": tab === view.tab, "aria-controls": `${id}-panel`, tabindex: tab === view.tab ? "0" : "-1",
          onclick: () => choose(tab) }, tab))),
      h("div", { class: "kit-panel", role: "tabpanel", id: `${id}-panel`, "aria-labelledby": `${id}-tab-${view.tab}`, key: view.tab },
        panel(view)),
      h("h3", { key: "try" }, "Try this entry"),
      h("div", { class: "kit-beside", key: "question" },
        h("input", { id: `${id}-question`, value: asked, "aria-label": "Question", spellcheck: "false", autocomplete: "off",
          onchange: (event) => send("question", { text: event.target.value }),
          onkeydown: (event) => { if (event.key === "Enter" && !event.isComposing) ask(); } }),
        running ? button("Cancel", () => send("cancel"), { key: "ask" })
          : button("Ask", ask, { class: "kit-button kit-primary", key: "ask", "aria-keyshortcuts": "Control+Enter",
              title: "Ctrl+Enter", ...usable(view.entries.length) })),
      h("div", { class: "kit-reply", role: "status", "aria-label": "Reply", key: "reply" },
        running ? [h("span", { class: "kit-spinner", "aria-hidden": "true", key: "spinner" }), "Waiting for the reply…"] : reply),
      view.loading ? h("p", { class: "kit-help", key: "loading" }, view.loading) : null);
  }

  function ask() {
    const view = model.get("view");
    if (view.entries.length && !view.trial.running) send("ask", { text: find("question").value });
  }

  function panel(view) {
    if (view.tab === "Filter") {
      return [row("filter", "Filter (JSON)", view.shown.text, null, view.shown.kept,
        (text) => send("filter", { text }), { placeholder: '{"tags": ["small"]}' })];
    }
    if (view.tab === "Agent") {
      return [h("pre", { class: "kit-code", tabindex: "0", role: "region", "aria-label": "Agent" }, view.shown),
        button("Look again", () => send("tab", { text: "Agent" }))];
    }
    const text = view.shown.map(([, piece]) => piece).join("");
    return [h("pre", { class: "kit-code", tabindex: "0", role: "region", "aria-label": view.tab }, code(view.shown)),
      button(`Copy ${view.tab}`, (event) => copy(text, event.currentTarget))];
  }

  // Questions and the foot ---------------------------------------------------------------------------------

  function question(asked) {
    const answer = (yes) => () => send("answer", { yes }, () => focus("file"));
    return h("div", { class: "kit-question", role: "group", "aria-label": "Question", key: "asked" },
      h("p", { key: "text" }, asked.text),
      h("pre", { class: "kit-code", tabindex: "0", role: "region", "aria-label": "changes", key: "diff" }, code(asked.diff)),
      h("div", { class: "kit-beside", key: "answers" },
        button(asked.yes, answer(true), { class: "kit-button kit-primary", key: "yes", id: `${id}-yes` }),
        button("No", answer(false))));
  }

  function foot(view) {
    const { said, text, mark: state, place } = view.status;
    const go = () => send("select", { index: place.entry }, () => {
      const name = { api_key: "variable" }[place.field] ?? String(place.field).replace(/(.*)=$/, "argument-$1");
      focus(find(name) ? name : find("extra") ? "extra" : "add");
    });
    const dead = gone(), silent = dead ? ["error", KERNEL_GONE]
      : own.late ? ["warning", "▲ No answer yet: the kernel is busy with something else, or gone. "] : null;
    return h("div", { class: "kit-foot", key: "foot" },
      h("span", { role: "status", class: "kit-said", key: "status" },
        silent ? h("span", { class: `kit-${silent[0]}`, key: "silent" }, silent[1]) : null,
        dead ? null : [said ? `${said} ` : null, h("span", { class: `kit-${state}`, key: "state" }, text)]),
      place && !dead ? h("button", { type: "button", class: "kit-link", onclick: go, key: "go" }, "Go to it") : null);
  }

  // Drawing ------------------------------------------------------------------------------------------------

  function page() {
    const view = model.get("view");
    return view.entries && [
      header(view),
      view.question ? question(view.question) : null,
      h("div", { class: "kit-body", key: "body" }, entries(view), entry(view), side(view)),
      foot(view),
    ].filter(Boolean);
  }

  function drawn() {
    const view = model.get("view");
    for (const part of el.children) part.toggleAttribute("inert", gone());
    if (view.selected !== selected) scrollTo(selected = view.selected);
    list(view);
    if (view.turn === waiting?.turn) {
      const then = waiting.then;
      waiting.then = null;
      then?.();
    }
  }

  function scrollTo(index) {  // in the list alone: the page stays where it is
    const card = find(`card-${index}`)?.parentElement, list = card?.parentElement;
    if (!card) return;
    const inner = card.getBoundingClientRect(), outer = list.getBoundingClientRect();
    list.scrollTop += Math.min(0, inner.top - outer.top) + Math.max(0, inner.bottom - outer.bottom);
  }

  function changed() {
    if (model.get("view").turn === waiting?.turn) {
      clearTimeout(late);
      own.late = false;
    }
    draw();
  }

  // Send what is typed in the input that has the focus, as leaving it would.
  function finish() {
    const input = el.getRootNode().activeElement;
    if (el.contains(input) && input.kitAttributes?.value !== input.value) input.onchange?.({ target: input });
  }

  const [draw, leave] = drawing(el, page, drawn);
  const [gone, unwatch] = watchKernel(model, draw);
  const shortcut = (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    if (event.key === "s") {  // Jupyter saves the notebook as well
      finish();
      send("save");
    } else if (event.key === "Enter") {  // which would run the cell again, and drop the form
      event.preventDefault();
      event.stopPropagation();
      finish();
      ask();
    }
  };
  const pressed = (event) => {
    if (own.menu && !event.target.closest?.(".kit-menu, [aria-haspopup]")) show({ menu: null });
  };
  el.addEventListener("keydown", shortcut);
  document.addEventListener("pointerdown", pressed, true);
  model.on("change:view", changed);
  draw();
  return () => {
    clearTimeout(late);
    leave();
    unwatch();
    document.removeEventListener("pointerdown", pressed, true);
    model.off("change:view", changed);
  };
}

export default { render };
