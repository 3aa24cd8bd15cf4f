// The page of ConfigListBuilder. All that it shows is in the trait `view`, and all that a person does goes to
// Python as a message. Texts only ever become text nodes and values, so nothing that they hold can run.

let forms = 0;

function h(tag, attributes, ...children) {
  return { tag, attributes: attributes ?? {}, children: children.flat(Infinity).filter((c) => c || c === 0) };
}

// Make `parent` hold what `nodes` describe. Elements stay where they can, so that a click finds its button and
// an input keeps its focus; what is being typed is left alone until Python knows it.
function patch(parent, nodes) {
  const old = new Map([...parent.childNodes].map((child, index) => [child.kitKey ?? index, child]));
  const kept = nodes.map((node, index) => {
    const key = node.attributes?.key ?? index;
    let child = old.get(key);
    if (node.tag === undefined) {
      if (child?.nodeType !== Node.TEXT_NODE) child = document.createTextNode("");
      if (child.data !== String(node)) child.data = node;
    } else {
      if (child?.localName !== node.tag) child = document.createElement(node.tag);
      attributes(child, node.attributes);
      if (node.tag !== "textarea") patch(child, node.children);
    }
    child.kitKey = key;
    return child;
  });
  for (const child of [...parent.childNodes]) if (!kept.includes(child)) child.remove();
  kept.forEach((child, index) => {
    if (parent.childNodes[index] !== child) parent.insertBefore(child, parent.childNodes[index] ?? null);
  });
}

function attributes(element, wanted) {
  const before = element.kitAttributes ?? {};
  for (const name of Object.keys(before)) {
    if (!(name in wanted) && !name.startsWith("on") && name !== "value") element.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(wanted)) {
    if (name === "key") continue;
    if (name.startsWith("on")) element[name] = value;
    else if (name === "value") {
      const typing = element === element.getRootNode().activeElement && element.value !== before.value;
      if (value !== before.value || !typing) element.value = value;
    } else if (name === "open") {
      if (!("open" in before)) element.open = value;  // from then on it is the reader's
    } else if (typeof value === "boolean" && !name.startsWith("aria-")) element.toggleAttribute(name, value);
    else if (value === undefined || value === null) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  }
  element.kitAttributes = wanted;
}

const MARKS = { ok: "✔", warning: "▲", error: "✖" };
const mark = (state) => h("span", { class: `kit-mark kit-${state}`, "aria-hidden": "true" }, MARKS[state] ?? "");
const code = (pieces) =>
  pieces.map(([kind, text]) => (kind ? h("span", { class: `kit-code-${kind}` }, text) : text));

function render({ model, el }) {
  const id = `kit-builder-${++forms}`;
  const own = { menu: null, adding: false, pasting: false, keyed: false, dragged: null, copied: "" };
  const send = (what, more) => model.send({ do: what, ...more });
  const button = (text, onclick, more) =>
    h("button", { type: "button", class: "kit-button", onclick, key: text, ...more }, text);
  const focus = (selector) => requestAnimationFrame(() => el.querySelector(selector)?.focus());

  async function copy(text, name) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // no clipboard without https: select the text and copy that
      getSelection().selectAllChildren(el.querySelector(".kit-code"));
      document.execCommand("copy");
    }
    own.copied = name;
    draw();
    setTimeout(() => { own.copied = ""; draw(); }, 1500);
  }

  // Header -------------------------------------------------------------------------------------------------

  function header(view) {
    const unsaved = view.changed ? [h("span", { class: "kit-chip kit-warning" }, "● unsaved")] : [];
    const errors = view.errors
      ? h("span", { class: "kit-chip kit-error" }, `✖ ${view.errors} ${view.errors > 1 ? "errors" : "error"}`)
      : h("span", { class: "kit-chip kit-ok" }, "✔ no errors");
    const count = view.entries.length;
    return h("div", { class: "kit-header", key: "header" },
      h("label", { class: "kit-file" }, h("span", { class: "kit-hidden" }, "File"),
        h("input", { value: view.path, spellcheck: "false", "aria-label": "File",
          onchange: (event) => send("path", { text: event.target.value }) })),
      h("span", { class: "kit-chip" }, count === 1 ? "1 entry" : `${count} entries`),
      count ? errors : null, unsaved,
      h("span", { class: "kit-space" }),
      button("Undo", () => send("undo"), { "aria-disabled": !view.canUndo }),
      button("Redo", () => send("redo"), { "aria-disabled": !view.canRedo }),
      button("Open", () => send("open"), { title: "Load the file" }),
      button(view.saveAs ? "Save as" : "Save", () => send("save"), { class: "kit-button kit-primary", key: "Save" }));
  }

  // Entries ------------------------------------------------------------------------------------------------

  function entries(view) {
    const names = view.entries.map((entry) => entry.title);
    return h("div", { class: "kit-entries", key: "entries", role: "group", "aria-label": "Entries" },
      h("ul", { key: "list" }, view.entries.map((entry, index) => card(view, entry, index))),
      h("div", { class: "kit-popup-place", key: "add" },
        button("+ Add entry", () => { own.adding = !own.adding; own.menu = null; draw(); focus("[role=menuitem]"); },
          { "aria-haspopup": "menu", "aria-expanded": own.adding, class: "kit-button kit-wide" }),
        own.adding ? menu("Presets", view.presets.map((preset) => [preset, () => {
          send("add", { text: preset });
          focus(`#${id}-model`);
        }])) : null),
      own.pasting
        ? h("div", { class: "kit-paste", key: "paste" },
            h("label", { for: `${id}-paste` }, "Paste a list, in whatever state"),
            h("textarea", { id: `${id}-paste`, rows: 5, spellcheck: "false", value: "" }),
            button("Use this text", () => {
              const input = el.querySelector(`#${id}-paste`);
              send("paste", { text: input.value });
              input.value = "";  // it may hold keys
              own.pasting = false;
              draw();
              focus(".kit-import");
            }, { class: "kit-button kit-primary" }),
            button("Close", () => { own.pasting = false; draw(); focus(".kit-import"); }))
        : h("button", { type: "button", class: "kit-link kit-import", key: "import",
            onclick: () => { own.pasting = true; draw(); focus(`#${id}-paste`); } }, "Paste or import a list…"),
      names.length ? null : h("p", { class: "kit-help", key: "empty" }, "AutoGen tries the entries in this order."));
  }

  function card(view, entry, index) {
    const selected = index === view.selected;
    const step = (to) => { if (to >= 0 && to < view.entries.length) send("move", { index, to }); };
    const keys = (event) => {
      const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const to = index + by;
      if (to < 0 || to >= view.entries.length) return;
      if (event.altKey) step(to);
      else send("select", { index: to });
      focus(`#${id}-card-${to}`);
    };
    const close = (what, more) => () => { send(what, { index, ...more }); focus(`#${id}-card-${view.selected}`); };
    return h("li", {
        key: `card ${index}`, class: `kit-card${selected ? " kit-selected" : ""}`, draggable: "true",
        ondragstart: () => { own.dragged = index; },
        ondragover: (event) => event.preventDefault(),
        ondrop: (event) => {
          event.preventDefault();
          if (own.dragged !== null && own.dragged !== index) send("move", { index: own.dragged, to: index });
          own.dragged = null;
        } },
      h("button", { type: "button", class: "kit-choose", id: `${id}-card-${index}`, "aria-current": selected,
          "aria-label": `Entry ${index}: ${entry.title}, ${entry.where}, ${{ ok: "no problem", warning: "a warning", error: "to fix" }[entry.state]}`,
          onclick: () => send("select", { index }), onkeydown: keys },
        mark(entry.state),
        h("span", { class: "kit-title" }, entry.title),
        h("span", { class: "kit-where" }, entry.where)),
      h("button", { type: "button", class: "kit-dots", "aria-label": `What to do with entry ${index}`,
          "aria-haspopup": "menu", "aria-expanded": own.menu === index, onclick: () => {
            own.menu = own.menu === index ? null : index;
            own.adding = false;
            draw();
            focus("[role=menuitem]");
          } }, "⋮"),
      own.menu === index ? menu(`Entry ${index}`, [
        ["Duplicate", close("duplicate")],
        ["Remove", close("remove")],
        ["Move up", close("move", { to: index - 1 })],
        ["Move down", close("move", { to: index + 1 })],
      ]) : null);
  }

  function menu(name, items) {
    const close = () => { own.menu = null; own.adding = false; draw(); };
    const keys = (event) => {
      const all = [...event.currentTarget.children], at = all.indexOf(event.target);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
      if (to !== undefined) {
        event.preventDefault();
        all[(to + all.length) % all.length].focus();
      } else if (event.key === "Escape") {
        const opener = event.currentTarget.parentElement.querySelector("[aria-haspopup]");
        event.stopPropagation();
        close();
        opener.focus();
      }
    };
    return h("div", { class: "kit-menu", role: "menu", "aria-label": name, key: "menu", onkeydown: keys },
      items.map(([text, action]) => h("button", { type: "button", role: "menuitem", tabindex: "-1", key: text,
        onclick: () => { close(); action(); } }, text)));
  }

  // The selected entry -------------------------------------------------------------------------------------

  function message(name, verdict, help, fix) {
    return h("div", { class: "kit-under", id: `${id}-${name}-under`, key: "under" },
      verdict ? h("span", { class: `kit-${verdict.mark}` }, `${MARKS[verdict.mark]} ${verdict.text} `) : help,
      fix ? h("button", { type: "button", class: "kit-link", onclick: () => send("fix", { field: name }) }, fix) : null);
  }

  function row(name, label, value, verdict, help, change, more = {}) {
    const { list, beside, fix, area, ...rest } = more;
    const shared = {
      id: `${id}-${name}`, value, spellcheck: "false", autocomplete: "off", "aria-describedby": `${id}-${name}-under`,
      "aria-invalid": verdict?.mark === "error", onchange: (event) => change(event.target.value), ...rest,
    };
    return h("div", { class: `kit-field${area ? " kit-area" : ""}`, key: name },
      h("label", { for: `${id}-${name}`, key: "label" }, label),
      h("div", { class: "kit-beside", key: "input" },
        area ? h("textarea", { ...shared, rows: 4 }) : h("input", { ...shared, list: list && `${id}-${name}-list` }),
        beside ?? null),
      list ? h("datalist", { id: `${id}-${name}-list`, key: "list" }, list.map((one) => h("option", { value: one }))) : null,
      message(name, verdict, help, fix));
  }

  function field(view, one) {
    const list = { model: view.models, model_client_cls: view.classes, stream: ["yes", "no"] }[one.name];
    const beside = one.name === "model" && view.servers ? button("List the server's models", () => send("models"))
      : one.name === "model_client_cls" ? button("Find my classes", () => send("classes")) : null;
    return row(one.name, one.label, one.text, one.verdict, one.help,
      (text) => send("set", { field: one.name, text }),
      { list, beside, fix: one.fix, placeholder: /number/.test(one.kind) ? "model's default" : null });
  }

  function keyRow(key) {
    const typed = h("div", { class: "kit-beside", key: "typed" },
      h("input", { type: "password", id: `${id}-key`, "aria-label": "The key itself", autocomplete: "off", value: "",
        onchange: (event) => {
          const text = event.target.value;
          event.target.value = "";  // at once: it goes to Python, and nowhere else
          own.keyed = false;
          send("key", { text });
          focus(`#${id}-variable`);
        } }),
      button("Cancel", () => { own.keyed = false; draw(); focus(`#${id}-variable`); }));
    const chip = key.state ? h("span", { class: `kit-chip kit-${key.mark}`, key: "chip" }, `${MARKS[key.mark] ?? ""} ${key.state}`) : null;
    const type = button("Type a key…", () => { own.keyed = true; draw(); focus(`#${id}-key`); });
    const named = row("variable", "API key, by its variable's name", key.variable, null,
      "The file holds the variable's name, never the key.", (text) => send("variable", { text }),
      { list: key.known, beside: own.keyed ? null : type, placeholder: "NAME_OF_A_VARIABLE" });
    return h("div", { class: "kit-key", key: "key" }, named, own.keyed ? typed : null, chip);
  }

  function fold(name, filled, content) {
    return h("details", { class: "kit-fold", key: name, open: filled > 0 },
      h("summary", { key: "summary" }, filled ? `${name} (${filled} set)` : name), content);
  }

  function entry(view) {
    if (!view.groups.length) {
      return h("div", { class: "kit-entry kit-nothing", key: "nothing" },
        h("p", {}, "No entries yet. Add one from a preset, or paste what you have."));
    }
    const [basic, ...others] = view.groups, extra = view.extra;
    const short = (one) => /number/.test(one.kind);
    return h("div", { class: "kit-entry", key: "entry", role: "group", "aria-label": "The selected entry" },
      basic.fields.filter((one) => !short(one)).map((one) => field(view, one)),
      view.key.needed ? keyRow(view.key) : null,
      h("div", { class: "kit-columns", key: "numbers" }, basic.fields.filter(short).map((one) => field(view, one))),
      others.map((group) => fold(group.name, group.filled,
        h("div", { class: "kit-columns" }, group.fields.map((one) => field(view, one))))),
      view.key.needed ? null : fold("API key", 0, keyRow(view.key)),
      view.arguments.length ? fold("Passed at registration", view.arguments.filter((one) => one.text).length,
        h("div", {}, view.arguments.map((one) => row(`argument-${one.name}`, one.name, one.text, one.verdict,
          "A literal, or the name of a variable of this notebook.",
          (text) => send("argument", { field: one.name, text }), { placeholder: one.default })))) : null,
      fold("Other fields (JSON)", extra.count, row("extra", "Other fields (JSON)", extra.text, extra.verdict,
        extra.help, (text) => send("extra", { text }), { area: true, fix: extra.fix, placeholder: extra.example })));
  }

  // What it will be ----------------------------------------------------------------------------------------

  const TABS = ["Python", "JSON", "Filter", "Agent"];

  function side(view) {
    const choose = (tab) => { send("tab", { text: tab }); focus(`#${id}-tab-${tab}`); };
    const keys = (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by) choose(TABS[(TABS.indexOf(view.tab) + by + TABS.length) % TABS.length]);
    };
    return h("div", { class: "kit-side", key: "side" },
      h("div", { class: "kit-tabs", role: "tablist", "aria-label": "What the list is", key: "tabs", onkeydown: keys },
        TABS.map((tab) => h("button", { type: "button", role: "tab", id: `${id}-tab-${tab}`, key: tab,
          "aria-selected": tab === view.tab, "aria-controls": `${id}-panel`, tabindex: tab === view.tab ? "0" : "-1",
          onclick: () => choose(tab) }, tab))),
      h("div", { class: "kit-panel", role: "tabpanel", id: `${id}-panel`, "aria-labelledby": `${id}-tab-${view.tab}`, key: view.tab },
        panel(view)),
      h("h3", { key: "try" }, "Try this entry"),
      h("div", { class: "kit-beside", key: "question" },
        h("input", { id: `${id}-question`, value: view.trial.question, "aria-label": "Question", spellcheck: "false",
          onkeydown: (event) => { if (event.key === "Enter" && !view.trial.running) send("ask", { text: event.target.value }); } }),
        view.trial.running
          ? button("Cancel", () => send("cancel"), { key: "ask" })
          : button("Ask", () => send("ask", { text: el.querySelector(`#${id}-question`).value }),
              { class: "kit-button kit-primary", key: "ask", "aria-disabled": !view.entries.length })),
      h("div", { class: "kit-reply", role: "status", "aria-label": "Reply", key: "reply" },
        view.trial.running ? "Waiting for the reply…" : view.trial.reply),
      view.loading ? h("p", { class: "kit-help", key: "loading" }, view.loading) : null);
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
      button(own.copied === view.tab ? "Copied" : `Copy ${view.tab}`, () => copy(text, view.tab), { key: "copy" })];
  }

  // Foot ---------------------------------------------------------------------------------------------------

  function question(asked) {
    return h("div", { class: "kit-question", role: "group", "aria-label": "Question", key: "question" },
      h("p", { key: "text" }, asked.text),
      h("pre", { class: "kit-code", tabindex: "0", role: "region", "aria-label": "changes", key: "diff" }, code(asked.diff)),
      button(asked.yes, () => { send("answer", { yes: true }); focus(".kit-file input"); }, { class: "kit-button kit-primary", key: "yes" }),
      button("No", () => { send("answer", { yes: false }); focus(".kit-file input"); }));
  }

  function foot(view) {
    const { said, text, mark: state, place } = view.status;
    const go = () => {
      send("select", { index: place.entry });
      requestAnimationFrame(() => setTimeout(() => {
        const known = [place.field, place.field === "api_key" ? "variable" : "extra"].map((name) => `#${id}-${name}`);
        const target = known.map((selector) => el.querySelector(selector)).find(Boolean);
        for (let fold = target; (fold = fold?.parentElement?.closest("details")); ) fold.open = true;
        target?.focus();
      }, 50));
    };
    return h("div", { class: "kit-foot", key: "foot" },
      h("span", { role: "status", class: "kit-said", key: "status" }, said ? `${said} ` : "", h("span", { class: `kit-${state}` }, text)),
      place ? h("button", { type: "button", class: "kit-link", onclick: go, key: "go" }, "Go to it") : null);
  }

  function draw() {
    const view = model.get("view");
    if (!view.entries) return;
    patch(el, [
      header(view),
      view.question ? question(view.question) : null,
      h("div", { class: "kit-body", key: "body" }, entries(view), entry(view), side(view)),
      foot(view),
    ].filter(Boolean));
  }

  el.addEventListener("keydown", (event) => {  // Jupyter has shortcuts of its own: x cuts the cell
    const shortcut = event.ctrlKey || event.metaKey || event.altKey || event.key === "Escape";
    if (!shortcut) event.stopPropagation();
  });
  el.addEventListener("click", (event) => {  // a button that can't be used stays in reach of the keyboard
    if (event.target.closest("[aria-disabled=true]")) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }, true);
  const outside = (event) => {
    if ((own.adding || own.menu !== null) && !event.target.closest?.(".kit-menu, [aria-haspopup]")) {
      own.adding = false;
      own.menu = null;
      draw();
    }
  };
  document.addEventListener("pointerdown", outside);
  model.on("change:view", draw);
  draw();
  return () => { document.removeEventListener("pointerdown", outside); model.off("change:view", draw); };
}

export default { render };
