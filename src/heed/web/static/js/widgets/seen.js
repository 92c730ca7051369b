// Which answers have been on the screen: an answer counts as seen after a moment in view.

const MOMENT = 200;

/** Tell `seen(letter)` about each card (with data-letter) that comes into view. Gives an observer to disconnect. */
export function watchSeen(cards, seen) {
  const timers = new Map();
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const { letter } = target.dataset;
        clearTimeout(timers.get(letter));
        const look = () => target.isConnected && !document.hidden && seen(letter);
        if (isIntersecting) timers.set(letter, setTimeout(look, MOMENT));
      }
    },
    { rootMargin: "-40px 0px -80px 0px" },
  );
  for (const card of cards) observer.observe(card);
  return observer;
}
