// What opens beside or over a task: the guideline, the keys, skipping, and what a training item expected.

import { call } from "./api.js";
import { h, path, setRich } from "./html.js";
import { ordinal } from "./ranking.js";
import { promptTurns } from "./widgets/answer.js";
import { spoken } from "./widgets/choices.js";

/** The guideline of a task in a panel at the side; it stays open from task to task. */
export class GuidelinePanel {
  #shown = null;
  #version = null;

  constructor(element) {
    this.element = element;
    this.body = element.querySelector(".guideline-body");
    element.querySelector("button").addEventListener("click", () => this.toggle());
    element.addEventListener("keydown", (event) => event.key === "Escape" && this.toggle());
  }

  toggle() {
    this.element.hidden = !this.element.hidden;
    document.body.classList.toggle("with-panel", !this.element.hidden);
    if (this.element.hidden) document.querySelector("#main").focus({ preventScroll: true });
    else this.#draw().then(() => this.body.focus());
  }

  /** The version that belongs to the task in front. */
  use(version) {
    this.#version = version;
    if (!this.element.hidden) this.#draw();
  }

  async #draw() {
    const version = this.#version;
    if (version === null || version === undefined) {
      this.body.replaceChildren(h("p.muted", {}, "There is no guideline for this task."));
      return;
    }
    if (version === this.#shown) return;
    try {
      const { html } = await call("GET", `/api/guideline/${version}`);
      setRich(this.body, html);
      this.body.prepend(h("p.muted.small", {}, `Version ${version}`));
      this.#shown = version;
    } catch (error) {
      this.body.replaceChildren(h("p.error", {}, `It could not be fetched: ${error.message}`));
    }
  }
}

/** The dialog that asks why; gives {reason, note}, or null. */
export function askSkip(dialog) {
  const form = dialog.querySelector("form");
  form.reset();
  form.querySelector(".error").textContent = "";
  const radios = [...form.querySelectorAll('input[name="reason"]')];
  return new Promise((resolve) => {
    const keys = (event) => {
      if (event.target.tagName === "TEXTAREA") return;
      const radio = radios[Number(event.key) - 1];
      if (radio) {
        radio.checked = true;
        radio.focus();
      }
      const onButton = event.target.tagName === "BUTTON";
      if (radio || (event.key === "Enter" && !onButton)) event.preventDefault();
      if (event.key === "Enter" && !onButton) form.requestSubmit(form.querySelector("button.primary"));
    };
    const send = (event) => {
      event.preventDefault();
      if (event.submitter?.value === "cancel") return dialog.close("");
      const reason = radios.find((radio) => radio.checked)?.value;
      if (!reason) {
        form.querySelector(".error").textContent = "Say why, so that the task can go to someone else or be mended.";
        return radios[0].focus();
      }
      return dialog.close(reason);
    };
    form.addEventListener("submit", send);
    dialog.addEventListener("keydown", keys);
    dialog.addEventListener(
      "close",
      () => {
        form.removeEventListener("submit", send);
        dialog.removeEventListener("keydown", keys);
        const reason = dialog.returnValue;
        resolve(reason ? { reason, note: form.querySelector("textarea").value } : null);
      },
      { once: true },
    );
    dialog.returnValue = "";
    dialog.showModal();
    radios[0].focus();
  });
}

/** Show the keys that work now. */
export function showKeys(dialog, keys) {
  dialog.querySelector(".sheet").replaceChildren(keys.sheet());
  dialog.showModal();
}

/** Tiers {"A": 0, ...} in words. */
export function spokenTiers(tiers) {
  const places = [...new Set(Object.values(tiers))].sort((a, b) => a - b);
  return places.map((place, at) => `${ordinal(at + 1)} ${Object.keys(tiers).filter((letter) => tiers[letter] === place).join(" and ")}`).join(", ");
}

function value(given) {
  if (given === true) return "yes";
  if (given === false) return "no";
  if (given === null) return "does not apply";
  return typeof given === "string" ? spoken(given) : String(given);
}

/** After a training item: what was expected, what was said, and why. */
export function showExpected(dialog, { task, payload, gold }) {
  const rows = [];
  const labels = Object.fromEntries(task.form.questions.map((question) => [question.name, question.label]));
  const flags = new Set(task.form.questions.filter((question) => question.kind === "flag").map((question) => question.name));
  const known = (name, wanted) => value(flags.has(name) && typeof wanted === "number" ? wanted !== 0 : wanted); // a stored flag is 0 or 1
  const add = (label, wanted, given) => rows.push([label, wanted, given, wanted === given]);
  if (Object.keys(gold.tiers).length) add("Order", spokenTiers(gold.tiers), spokenTiers(payload.tiers ?? {}) || "as chosen below");
  for (const [name, wanted] of Object.entries(gold.item)) add(labels[name] ?? name, known(name, wanted), value(payload.item?.[name]));
  for (const [letter, wanted] of Object.entries(gold.candidates)) {
    for (const [name, one] of Object.entries(wanted ?? {})) add(`${letter}: ${labels[name] ?? name}`, known(name, one), value(payload.candidates?.[letter]?.[name]));
  }
  dialog.querySelector(".expected").replaceChildren(
    gold.reason ? h("p.notice", {}, gold.reason) : "",
    h(
      "div.table-wrap",
      {},
      h(
        "table.table",
        {},
        h("thead", {}, h("tr", {}, ["Question", "Expected", "You said", ""].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, rows.map(([label, wanted, given, same]) => h("tr", {}, h("th", { scope: "row" }, label), h("td", {}, wanted), h("td", {}, given), h("td", {}, h(`span.tag.${same ? "good" : "warn"}`, {}, same ? "same" : "differs"))))),
      ),
    ),
    h("details", {}, h("summary", {}, "The task again"), promptTurns(task), task.answers.map((answer) => h("section.card", {}, h("h3", {}, `Answer ${answer.letter}`), setRich(h("div.answer", {}), answer.html)))),
  );
  dialog.showModal();
}

/** What became of an answer that the server would not take any more: nothing of it is thrown away. */
export function lostNotice(entry, message) {
  const text = JSON.stringify(entry.body.payload, null, 1);
  const notice = h(
    "div.notice.warn",
    { role: "alert" },
    h("p", {}, h("strong", {}, `“${entry.title}” could not be handed in. `), message),
    h("p", {}, "What you wrote is kept on the server as a draft, and here:"),
    h("details", {}, h("summary", {}, "Your work"), h("pre", { tabindex: 0 }, text)),
    h("div.row", {}, h("button.small", { type: "button", onclick: () => notice.remove() }, "I have read this"), h("a", { href: path("/work/history") }, "History")),
  );
  return notice;
}
