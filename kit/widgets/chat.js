// The page of ChatPanel. Python sends what was said as plain data (chat.py, markdown.py); what a person does
// goes to Python as a message.

function render({ model, el }) {
  const id = `kit-chat-${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  const nodes = new WeakMap();  // of messages that are whole: they are drawn once
  const input = () => el.querySelector(`#${id}`);
  const log = () => el.querySelector(".kit-log");
  let follow = true;  // the end stays in sight, unless someone scrolls up

  function message(row, index, grows) {
    const result = row.kind === "result";
    return h("div", { class: `kit-message kit-of-${row.kind} kit-colour-${row.colour}`, key: `message ${index}` },
      h("span", { class: "kit-avatar", "aria-hidden": "true", key: "avatar" }, row.initials),
      h("div", { class: "kit-bubble", key: "bubble" },
        h("div", { class: "kit-speaker", key: "speaker" }, h("span", { key: "name" }, row.speaker),
          result ? h("span", { class: "kit-chip", key: "chip" }, "⚙ tool result") : null,
          row.calls?.length ? h("span", { class: "kit-chip", key: "chip" }, "⚙ tool call") : null),
        row.thoughts ? h("details", { class: "kit-thoughts", key: "thoughts" },
          h("summary", {}, "Thoughts"), h("div", { class: "kit-plain" }, row.thoughts)) : null,
        row.body?.length ? h("div", { class: `kit-said${/question|error/.test(row.kind) ? " kit-plain" : ""}`, key: "said" },
          row.body.map(tree)) : null,
        row.fix ? h("div", { class: "kit-fix kit-plain", key: "fix" }, h("strong", {}, "Fix: "), row.fix) : null,
        (row.calls ?? []).map(([, , content], at) => h("div", { class: "kit-tool", key: `call ${at}` }, block("Tool call", content.map(tree)))),
        (row.results ?? []).map(([name, text], at) => h("div", { class: "kit-tool", key: `result ${at}` }, block(`Result of ${name}`, text))),
        grows && !row.body?.length ? h("div", { class: "kit-waiting", key: "waiting" }, h("i"), h("i"), h("i")) : null,
        row.note ? h("div", { class: "kit-soft", key: "note" }, row.note) : null));
  }

  function whole(row, index) {
    if (!nodes.has(row)) nodes.set(row, message(row, index));
    return nodes.get(row);
  }

  function send() {
    const text = input().value;
    if (!text.trim() || model.get("running") || gone()) return;
    model.send({ send: text });
    input().value = "";
    follow = true;
  }

  const typed = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  };

  function page() {
    const said = model.get("said"), growing = model.get("growing"), running = model.get("running");
    const name = model.get("name"), dead = gone(), status = dead ? KERNEL_GONE : model.get("status");
    const undo = !said.length && model.get("can_undo");
    const messages = said.map(whole);
    if (growing.kind) messages.push(message(growing, said.length, true));
    return [
      // A growing reply is read out once it is whole; arrow keys scroll.
      h("div", { class: "kit-log", key: "log", role: "log", tabindex: "0", "aria-label": `Chat with ${name}`, "aria-busy": running && !dead,
        onscroll: ({ target }) => { follow = target.scrollHeight - target.scrollTop - target.clientHeight < 40; } },
        messages.length ? messages : h("p", { class: "kit-empty", key: "empty" }, `Nothing said to ${name} yet.`)),
      h("div", { class: "kit-compose", key: "compose" },
        h("div", { class: `kit-status${status.startsWith("✖") ? " kit-error" : ""}`, role: "status", key: "status" }, status),
        h("label", { for: id, key: "label" }, `Message to ${name}`),
        h("textarea", { id, rows: 2, key: "input", onkeydown: typed, readonly: dead, "aria-disabled": dead ? "true" : null,
          placeholder: "Enter sends, Shift+Enter starts a new line" }),
        h("div", { class: "kit-row", key: "row" },
          button(running ? "Stop" : "Send", (event) => {
            if (event.detail > 1) return;  // the second half of a double click on Send is no Stop
            if (model.get("running")) model.send({ stop: true });
            else send();
          }, { key: "send", class: `kit-button ${running ? "kit-stop" : "kit-primary"}`, "aria-disabled": dead,
            onkeydown: (event) => { if (event.repeat) event.preventDefault(); } }),
          h("span", { class: "kit-space", key: "space" }),
          button(undo ? "Undo clear" : "Clear", () => model.send(undo ? { undo: true } : { clear: true }),
            { key: "clear", "aria-disabled": dead || running || !(said.length || undo) }),
          button("Copy transcript", (event) => copy(model.get("transcript"), event.currentTarget),
            { key: "copy", "aria-disabled": running || !said.length }))),
    ];
  }

  const again = (content) => {
    if (content?.again && !input().value) {
      input().value = content.again;
      input().focus();
    }
  };
  const scroll = () => { if (follow) log().scrollTop = log().scrollHeight; };
  const [draw, leave] = drawing(el, page, scroll);
  const [gone, unwatch] = watchKernel(model, draw);
  model.on("change", draw);
  model.on("msg:custom", again);
  draw();
  new ResizeObserver(scroll).observe(log());
  return () => {
    leave();
    unwatch();
    model.off("change", draw);
    model.off("msg:custom", again);
  };
}

export default { render };
