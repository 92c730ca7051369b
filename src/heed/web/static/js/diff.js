// What differs between two texts, word by word: the longest common subsequence, after equal ends are set aside.

const WORDS = /\s+|[\p{L}\p{N}_'’]+|[^\s\p{L}\p{N}_]/gu;
const TOO_MANY = 4_000_000;

/** A text in words, spaces and marks; joined they are the text again. */
export function words(text) {
  return text.match(WORDS) ?? [];
}

/** Pieces [kind, text] with kind "same", "out" (only in before) or "in" (only in after). */
export function diff(before, after) {
  const a = words(before);
  const b = words(after);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const pieces = [];
  const add = (kind, list) => {
    if (!list.length) return;
    if (pieces.at(-1)?.[0] === kind) pieces.at(-1)[1] += list.join("");
    else pieces.push([kind, list.join("")]);
  };
  add("same", a.slice(0, start));
  const middleA = a.slice(start, a.length - end);
  const middleB = b.slice(start, b.length - end);
  if (middleA.length * middleB.length > TOO_MANY) {
    add("out", middleA);
    add("in", middleB);
  } else {
    walk(middleA, middleB, add);
  }
  add("same", a.slice(a.length - end));
  return pieces;
}

function walk(a, b, add) {
  const wide = b.length + 1;
  const length = new Uint16Array((a.length + 1) * wide);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      length[i * wide + j] =
        a[i] === b[j] ? length[(i + 1) * wide + j + 1] + 1 : Math.max(length[(i + 1) * wide + j], length[i * wide + j + 1]);
    }
  }
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      add("same", [a[i]]);
      i += 1;
      j += 1;
    } else if (length[(i + 1) * wide + j] >= length[i * wide + j + 1]) {
      add("out", [a[i]]);
      i += 1;
    } else {
      add("in", [b[j]]);
      j += 1;
    }
  }
  add("out", a.slice(i));
  add("in", b.slice(j));
}
