// Questions with one answer out of a few: native radio buttons, so that a screen reader and a keyboard know them.
// Each element has .question and .value and tells of a change with the event "heed:value".

import { freshId, h } from "../html.js";

/** Tell the page about a new value. */
export function tell(element, name, value) {
  element.dispatchEvent(new CustomEvent("heed:value", { bubbles: true, detail: { name, value } }));
}

/** Words for a stored choice: "few_shot" is "few-shot". */
export function spoken(choice) {
  return choice.replaceAll("_", "-");
}

/** A row of radio buttons: options are [value, label, key, note]. */
function radios(element, options, style) {
  const { question, value } = element;
  const group = freshId(question.name);
  const help = question.help ? h("span.help", { id: `${group}-help` }, question.help) : null;
  const buttons = options.map(([option, label, key, note]) =>
    h(
      "label.option",
      {},
      h("input", { type: "radio", name: group, checked: option === value, onchange: () => element.choose(option) }),
      h("span.option-face", {}, h("span", {}, label), note ? h("span.option-note", {}, note) : null, key ? h("kbd", { "aria-hidden": "true" }, key) : null),
    ),
  );
  element.inputs = new Map(options.map(([option], at) => [option, buttons[at].querySelector("input")]));
  element.replaceChildren(
    h(
      `fieldset.field.options.${style}`,
      { "aria-describedby": help?.id },
      h("legend", {}, question.label),
      help,
      h("div.option-row", {}, buttons),
    ),
  );
}

function mark(element, value) {
  for (const [option, input] of element.inputs ?? []) input.checked = option === value;
}

const Choosing = (options, style) =>
  class extends HTMLElement {
    #value;

    connectedCallback() {
      if (!this.inputs) radios(this, options(this.question), style(this.question));
    }

    get value() {
      return this.#value;
    }

    set value(value) {
      this.#value = value;
      mark(this, value);
    }

    /** Answer as a click would. */
    choose(value) {
      this.value = value;
      tell(this, this.question.name, value);
    }
  };

/** Whole numbers from low to high. */
export const Likert = Choosing(
  ({ low, high, low_label: worst, high_label: best }) =>
    Array.from({ length: high - low + 1 }, (_, at) => {
      const number = low + at;
      return [number, String(number), null, number === low ? worst : number === high ? best : null];
    }),
  () => "likert",
);

/** Yes or no. */
export const YesNo = Choosing(() => [[true, "Yes", "Y"], [false, "No", "N"]], () => "yes-no");

/** One of a few. */
export const Choice = Choosing(
  ({ choices }) => choices.map((choice, at) => [choice, spoken(choice), at < 9 ? String(at + 1) : null]),
  () => "choice",
);

/** Which of two is better, and how clearly: from -high (left) over 0 (equal, if ties are allowed) to high (right). */
export function strengthSteps({ high, ties }) {
  return Array.from({ length: 2 * high + 1 }, (_, at) => at - high).filter((step) => step !== 0 || ties);
}

const DEGREES = ["", "slightly", "better", "clearly", "far better"];

export const Strength = Choosing(
  (question) =>
    strengthSteps(question).map((step, at) => {
      const degree = question.high <= 4 ? DEGREES[Math.abs(step)] : String(Math.abs(step));
      return [step, step === 0 ? "Equal" : `${step < 0 ? "A" : "B"} ${degree}`, String(at + 1)];
    }),
  () => "strength",
);

/** Some of a few: check boxes. */
export class Choices extends HTMLElement {
  #value = [];

  connectedCallback() {
    if (this.inputs) return;
    const { question } = this;
    this.inputs = new Map();
    const rows = question.choices.map((choice, at) => {
      const input = h("input", { type: "checkbox", checked: this.#value.includes(choice), onchange: () => this.#read() });
      this.inputs.set(choice, input);
      return h("label.check", {}, input, h("span", {}, spoken(choice)), at < 9 ? h("kbd", { "aria-hidden": "true" }, String(at + 1)) : null);
    });
    this.replaceChildren(
      h("fieldset.field.checks", {}, h("legend", {}, question.label), question.help ? h("span.help", {}, question.help) : null, h("div.check-grid", {}, rows)),
    );
  }

  get value() {
    return this.#value;
  }

  set value(value) {
    this.#value = Array.isArray(value) ? value : [];
    for (const [choice, input] of this.inputs ?? []) input.checked = this.#value.includes(choice);
  }

  /** Turn one on or off. */
  flip(choice) {
    const input = this.inputs.get(choice);
    if (!input) return;
    input.checked = !input.checked;
    this.#read();
  }

  #read() {
    this.#value = [...this.inputs].filter(([, input]) => input.checked).map(([choice]) => choice);
    tell(this, this.question.name, this.#value);
  }
}

customElements.define("heed-likert", Likert);
customElements.define("heed-yes-no", YesNo);
customElements.define("heed-choice", Choice);
customElements.define("heed-choices", Choices);
customElements.define("heed-strength", Strength);

/** An element with its question and value. */
export function widget(tag, question, value) {
  const element = document.createElement(tag);
  element.question = question;
  element.value = value;
  return element;
}
