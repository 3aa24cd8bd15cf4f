// The page of TemplatePicker. All that it shows is in the trait `view`; what a person does goes to Python.

function render({ model, el }) {
  const id = `kit-templates-${crypto.getRandomValues(new Uint32Array(1))[0]}`;

  function page() {
    const view = model.get("view");
    if (!view.titles) return null;
    const dead = gone(), status = dead ? KERNEL_GONE : view.status, file = `${view.chosen}.py`;
    const folder = () => el.querySelector(`#${id}`);
    const save = (replace) => () => model.send({ save: folder().value, replace });
    return [
      h("div", { class: "kit-choices", role: "group", "aria-label": "Programs", key: "choices" },
        Object.entries(view.titles).map(([name, title]) => h("button", { type: "button", class: "kit-choice", key: name,
          "aria-pressed": name === view.chosen, "aria-disabled": dead, onclick: () => model.send({ choose: name }) },
          h("span", { class: "kit-mark", "aria-hidden": "true" }, name === view.chosen ? "✔" : ""), h("span", {}, title)))),
      h("div", { class: "kit-program", key: "program" },
        h("div", { role: "status", class: "kit-about", key: "about" }, h("p", { key: "purpose" }, view.purpose),
          view.facts.map((fact, index) => h("p", { class: "kit-soft", key: `fact ${index}` }, fact))),
        h("div", { class: "kit-block", key: "block" },
          h("div", { class: "kit-block-head", key: "head" }, h("span", { key: "file" }, file), h("span", { class: "kit-space", key: "space" }),
            button("Copy", (event) => copy(view.code.map(([, piece]) => piece).join(""), event.currentTarget),
              { key: `copy ${file}`, title: `Copy ${file}` })),
          h("pre", { class: "kit-code", tabindex: "0", role: "group", "aria-label": file, key: file }, code(view.code)))),
      h("div", { class: "kit-saving", key: "saving" },
        h("div", { class: "kit-row", key: "row" },
          h("label", { for: id, key: "label" }, "Folder"),
          h("input", { id, value: view.folder, spellcheck: "false", autocomplete: "off", readonly: dead, key: "folder",
            onchange: (event) => model.send({ folder: event.target.value }) }),
          button("Save", save(false), { class: "kit-button kit-primary", "aria-disabled": dead }),
          view.replace ? button("Replace what is there", save(true), { "aria-disabled": dead }) : null),
        h("div", { role: "status", key: "status", class: `kit-status ${status.startsWith("✖") ? "kit-error" : "kit-ok"}` }, status)),
    ];
  }

  const [draw, leave] = drawing(el, page);
  const [gone, unwatch] = watchKernel(model, draw);
  model.on("change:view", draw);
  draw();
  return () => { leave(); unwatch(); model.off("change:view", draw); };
}

export default { render };
