// On every page: times in the reader's own zone, forms that ask first, live fragments, and signing out leaves nothing.

import "./live.js";
import { forgetAccount, forgetStrangers, waiting } from "./shelf.js";
import { meta } from "./html.js";

export function localTimes(root) {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime()) || time.dataset.local) continue;
    time.title = time.textContent.trim();
    time.textContent = format.format(moment);
    time.dataset.local = "1";
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
  if (question && !globalThis.confirm(question)) {
    event.preventDefault();
    return;
  }
  if ("signsOut" in form.dataset) {
    const account = meta("heed-account");
    const unsent = waiting(account);
    const lose = `${unsent} of your answers ${unsent === 1 ? "has" : "have"} not reached the server yet and would be lost. Sign out anyway?`;
    if (unsent && !globalThis.confirm(lose)) event.preventDefault();
    else {
      document.dispatchEvent(new CustomEvent("heed:sign-out"));
      forgetAccount(account);
    }
  }
});

/** Where one is can be seen in a row of links that is wider than the screen. */
for (const link of document.querySelectorAll("nav [aria-current]")) {
  const nav = link.closest("nav");
  nav.scrollLeft = link.offsetLeft - nav.offsetLeft - (nav.clientWidth - link.offsetWidth) / 2;
}

document.addEventListener("heed:fragment", (event) => localTimes(event.target));
localTimes(document);
if (meta("heed-account")) forgetStrangers(meta("heed-account"));
