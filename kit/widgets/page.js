// What the pages of all widgets share. `page.py` puts it before the widget's own file, as one module.
// What comes from Python is plain data, and only ever becomes text nodes, values and the attributes named here.

const KERNEL_GONE = "✖ The kernel of this form has gone. Run its cell again to go on.";

const REACHABLE = "input, textarea, button, summary, [tabindex]";

function h(tag, attributes, ...children) {
  return { tag, attributes: attributes ?? {}, children: children.flat(Infinity).filter((c) => c || c === 0) };
}

// Make `parent` hold what `nodes` describe. Elements stay where they can, so that a click finds its button,
// an input keeps its focus, and a selection stays; what is being typed is left alone until Python knows it.
// A node that is the very object of last time is not looked at again.
function patch(parent, nodes) {
  const old = new Map([...parent.childNodes].map((child, index) => [child.kitKey ?? index, child]));
  const kept = nodes.map((node, index) => {
    const key = node.attributes?.key ?? index;
    let child = old.get(key);
    if (child && child.kitNode === node) return child;
    if (node.tag === undefined) {
      if (child?.nodeType !== Node.TEXT_NODE) child = document.createTextNode("");
      if (child.data !== String(node)) child.data = node;
    } else {
      if (child?.localName !== node.tag) child = document.createElement(node.tag);
      attributes(child, node.attributes);
      if (node.tag !== "textarea") patch(child, node.children);
      child.kitNode = node;
    }
    child.kitKey = key;
    return child;
  });
  const wanted = new Set(kept);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
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
      const typing = element === element.getRootNode().activeElement
        && element.value !== before.value && element.value !== element.kitSent;
      if (!typing) {
        element.kitSent = null;  // it may have been a key, in the wrong place
        if (element.value !== value) element.value = value;
      }
    } else if (name === "open") {
      if (!("open" in before)) element.open = value;  // from then on it is the reader's
    } else if (typeof value === "boolean" && !name.startsWith("aria-")) element.toggleAttribute(name, value);
    else if (value === undefined || value === null) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  }
  element.kitAttributes = wanted;
}

// A text as `highlighted` in Python gives it: pieces of a kind and the piece itself.
const code = (pieces) =>
  pieces.map(([kind, text]) => (kind ? h("span", { class: `kit-code-${kind}` }, text) : text));

const button = (text, onclick, more) =>
  h("button", { type: "button", class: "kit-button", onclick, key: text, ...more }, text);

// Put a text on the clipboard, and say so on the button for a moment.
async function copy(text, pressed) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // no clipboard without https: select the text and copy that
    const area = Object.assign(document.createElement("textarea"), { value: text });
    pressed.after(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    pressed.focus();
  }
  const label = pressed.firstChild.data;
  if (label === "Copied") return;
  pressed.firstChild.data = "Copied";
  setTimeout(() => { pressed.firstChild.data = label; }, 1500);
}

// What Python describes as [tag, attributes, children] (markdown.py), as `h` has it. Code can be copied.
const tree = (node) => {
  if (typeof node === "string") return node;
  const [tag, attributes, children] = node;
  if (tag === "pre") return block(attributes["data-language"] || "text", children.map(tree));
  if (attributes.class === "kit-table") {
    return h(tag, { ...attributes, tabindex: "0", role: "group", "aria-label": "Table" }, children.map(tree));
  }
  return h(tag, attributes, children.map(tree));
};

// A block of code; `name` is its language, or what else it is.
function block(name, content, more = {}) {
  return h("div", { class: "kit-block" },
    h("div", { class: "kit-block-head" }, h("span", {}, name), h("span", { class: "kit-space" }),
      button("Copy", (event) => {
        const pressed = event.currentTarget;
        copy(pressed.closest(".kit-block").querySelector("pre").textContent, pressed);
      }, { title: `Copy ${name}` })),
    h("pre", { class: "kit-code", tabindex: "0", role: "group", "aria-label": name, ...more }, content));
}

// Draw the form in `el` that `nodes()` describes, then do `drawn`. Return a function that draws it again, and one
// that ends this. Keys that are typed in the form are kept in it, for JupyterLab has shortcuts (x cuts the cell).
function drawing(el, nodes, drawn) {
  let held = false;

  function draw() {
    const wanted = !held && nodes();  // not between the press of a mouse button and its click
    if (!wanted) return;
    const active = el.getRootNode().activeElement;
    const before = el.contains(active) ? [...el.querySelectorAll(REACHABLE)] : [], at = before.indexOf(active);
    patch(el, wanted);
    if (at >= 0 && !active.isConnected) {  // what had the focus is gone: it goes to what is next to that
      [...before.slice(0, at).reverse(), ...before.slice(at)].find((one) => one.isConnected && one.offsetParent)?.focus();
    }
    drawn?.();
  }

  el.addEventListener("change", ({ target }) => {
    if ("value" in (target.kitAttributes ?? {})) target.kitSent = target.value;
  }, true);
  el.addEventListener("keydown", (event) => {
    const shortcut = event.ctrlKey || event.metaKey || event.altKey || event.key === "Escape";
    if (!shortcut) event.stopPropagation();
  });
  el.addEventListener("click", (event) => {
    held = false;
    if (event.target.closest("[aria-disabled=true]")) {  // a button that can't be used, but reached
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  }, true);
  const pressed = (event) => { held = el.contains(event.target); };
  const released = () => {
    if (held) setTimeout(() => { held = false; draw(); });  // after the click
  };
  const ends = ["pointerup", "pointercancel", "dragend"];
  document.addEventListener("pointerdown", pressed, true);
  for (const name of ends) document.addEventListener(name, released, true);
  return [draw, () => {
    document.removeEventListener("pointerdown", pressed, true);
    for (const name of ends) document.removeEventListener(name, released, true);
  }];
}

// Return a function that says whether the kernel has gone (shut down, restarted, died, or never there, as in a
// saved page), and one that ends the watch; `changed` is called when that happens. anywidget's model does not
// say whether it is connected. The model of its layout does, and shares its fate.
function watchKernel(model, changed) {
  const kernel = model.widget_manager?.kernel;  // JupyterLab and Notebook have it
  const gone = () =>
    model.get("layout")?.comm_live === false || Boolean(kernel?.isDisposed) || kernel?.status === "dead";
  const look = () => setTimeout(() => { if (gone()) changed(); }, 0);  // once all models know
  model.on("comm_live_update", look);
  kernel?.disposed?.connect(look);
  kernel?.statusChanged?.connect(look);
  return [gone, () => {
    model.off("comm_live_update", look);
    kernel?.disposed?.disconnect(look);
    kernel?.statusChanged?.disconnect(look);
  }];
}
