// The page of `watch`. Python sends a row for each request, and the card of each that was opened, as trees (card.py).

function render({ model, el }) {
  const drawn = new WeakMap();  // trees of cards that have not changed

  const bar = (tokens, most) => h("span", { class: "kit-bar" },
    ["read", "cached", "written"].map((name, at) => {
      const height = (48 * tokens[at]) / most;
      return tokens[at] ? h("span", { class: `kit-${name}`, style: `height: ${Math.max(height, 1)}px` }) : null;
    }).reverse());

  function plot(rows) {
    const sums = rows.map(({ tokens }) => tokens.reduce((a, b) => a + b)), most = Math.max(...sums);
    if (rows.length < 2 || !most) return null;
    const last = rows.at(-1).tokens;
    return h("div", { class: "kit-plot", key: "plot" },
      h("div", { class: "kit-bars", role: "img", "aria-label":
        `Tokens of ${rows.length} requests, at most ${most}. The last: ${last[0]} read, ${last[1]} from a cache, ${last[2]} written.` },
        rows.map(({ tokens }) => bar(tokens, most))),
      h("div", { class: "kit-soft kit-legend", "aria-hidden": "true" },
        ["read", "cached", "written"].map((name) => h("span", {}, h("i", { class: `kit-${name}` }), name))));
  }

  function trees(card) {
    if (!drawn.has(card)) drawn.set(card, card.map(tree));
    return drawn.get(card);
  }

  const request = ({ number, title, note, tone }, cards) =>
    h("details", { class: `kit-request ${tone}`, key: `request ${number}`,
      ontoggle: ({ target }) => { if (target.open && !model.get("cards")[number]) model.send({ open: number }); } },
      h("summary", { key: "summary" }, h("span", { class: "kit-title", key: "title" }, title),
        h("span", { class: "kit-soft", key: "note" }, note)),
      h("div", { class: "kit-card", key: "card" },
        cards[number] ? trees(cards[number]) : h("p", { class: "kit-soft" }, dead() ? KERNEL_GONE : "…")));

  function nodes() {
    const rows = model.get("rows"), cards = model.get("cards");
    return [
      h("div", { class: "kit-total", role: "status", key: "total" }, model.get("total")),
      plot(rows),
      rows.length ? rows.map((row) => request(row, cards))
        : h("p", { class: "kit-soft kit-empty", key: "empty" }, "No request yet. Let the agents chat."),
    ].flat().filter(Boolean);
  }

  const [draw, leave] = drawing(el, nodes);
  const [dead, unwatch] = watchKernel(model, draw);
  model.on("change", draw);
  draw();
  return () => {
    leave();
    unwatch();
    model.off("change", draw);
  };
}

export default { render };
