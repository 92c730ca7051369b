// Worked examples for a few-shot prompt: pairs of a query and a response.

import { announce, freshId, h } from "../html.js";
import { tell } from "./choices.js";

export class Examples extends HTMLElement {
  #value = [];

  connectedCallback() {
    if (this.list) return;
    this.list = h("ol.examples", {});
    this.replaceChildren(
      h("fieldset.field", {}, h("legend", {}, this.question.label), this.list, h("button.small", { type: "button", onclick: () => this.add() }, "Add an example ", h("kbd", { "aria-hidden": "true" }, "+"))),
    );
    this.#draw();
  }

  get value() {
    return this.#value;
  }

  set value(value) {
    this.#value = Array.isArray(value) ? value.map((one) => (Array.isArray(one) ? { query: one[0], response: one[1] } : { ...one })) : [];
    if (this.list) this.#draw();
  }

  add() {
    this.#value.push({ query: "", response: "" });
    this.#draw();
    this.#tell();
    this.list.lastElementChild.querySelector("textarea").focus();
    announce(`Example ${this.#value.length} added`);
  }

  #remove(at) {
    this.#value.splice(at, 1);
    this.#draw();
    this.#tell();
    announce(`Example ${at + 1} removed`);
  }

  #tell() {
    tell(this, this.question.name, this.#value.map((one) => ({ ...one })));
  }

  #draw() {
    this.list.replaceChildren(
      ...this.#value.map((example, at) => {
        const part = (name, label) => {
          const id = freshId(name);
          return h("div.field", {}, h("label", { htmlFor: id }, label), h("textarea", {
            id,
            dir: "auto",
            rows: 3,
            value: example[name],
            onkeydown: (event) => event.key === "Escape" && event.target.blur(),
            oninput: (event) => {
              example[name] = event.target.value;
              this.#tell();
            },
          }));
        };
        return h("li.example", {}, part("query", "Query"), part("response", "Response"), h("button.quiet.small", { type: "button", onclick: () => this.#remove(at) }, `Remove example ${at + 1}`));
      }),
    );
  }
}

customElements.define("heed-examples", Examples);
