"use strict";
// The gallery's sliders, filters and order. Without this script every picture of a case stands beside the others.
// Nothing is fetched and no HTML is made from text: the script hides, moves and relabels what is there.
(() => {
  const gallery = document.getElementById("gallery");
  if (!gallery) return;
  const STEP = 6; // cases that are shown at first, and with every press of the button
  const all = (selector, within = gallery) => [...within.querySelectorAll(selector)];
  const cases = all(".case");
  const list = gallery.querySelector(".cases");
  const form = gallery.querySelector(".filters");
  const told = gallery.querySelector(".told");
  const more = gallery.querySelector(".more");
  let most = STEP;

  // A slider moves the border between two pictures that lie on each other: left of it the first, right of it the second.
  function slide(input, value) {
    const share = Math.round(Math.min(100, Math.max(0, value)));
    input.value = share;
    input.closest(".pair").querySelector(".sides").style.setProperty("--at", `${share}%`);
    const text = `${share} % ${input.dataset.left}, ${100 - share} % ${input.dataset.right}`;
    input.setAttribute("aria-valuetext", text);
  }

  function drag(sides, input) {
    const follow = (event) => {
      const box = sides.getBoundingClientRect();
      slide(input, (100 * (event.clientX - box.left)) / box.width);
    };
    sides.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      sides.setPointerCapture(event.pointerId);
      follow(event);
    });
    sides.addEventListener("pointermove", (event) => {
      if (sides.hasPointerCapture(event.pointerId)) follow(event);
    });
  }

  function prepare(pair) {
    const input = pair.querySelector("input");
    const button = pair.querySelector("button");
    pair.querySelector(".controls").hidden = false;
    input.addEventListener("input", () => slide(input, Number(input.value)));
    drag(pair.querySelector(".sides"), input);
    slide(input, 50);
    button.addEventListener("click", () => {
      pair.classList.toggle("swapped");
      [button.textContent, button.dataset.back] = [button.dataset.back, button.textContent];
    });
  }

  // Each case has a line of facts per engine, the lowest precision first; it names the pictures of that engine.
  function factsOf(card) {
    const wanted = form.elements.engine ? form.elements.engine.value : "";
    const lines = all(".facts", card);
    return wanted ? lines.find((line) => line.dataset.engine === wanted) : lines[0];
  }

  function showEngine(card, facts) {
    for (const line of all(".facts", card)) line.hidden = line !== facts;
    const [adversarial, clean, fates] = facts.dataset.pictures.split(" ");
    card.querySelector(".engine-adversarial .picture").className = `picture labels ${adversarial}`;
    card.querySelector(".engine-clean .picture").className = `picture labels ${clean}`;
    card.querySelector(".engine-fates").className = `picture labels engine-fates ${fates}`;
    for (const name of all(".engine", card)) name.textContent = facts.dataset.engine;
  }

  const fits = (card) =>
    ["model", "attack", "task"].every((name) => {
      const choice = form.elements[name];
      return !choice || !choice.value || choice.value === card.dataset[name];
    });

  // Cases without a survival come last in every order by survival.
  const survival = (facts, missing) => (facts.dataset.survival === "" ? missing : Number(facts.dataset.survival));
  const orders = {
    given: () => 0,
    least: (a, b) => survival(a.facts, 2) - survival(b.facts, 2),
    best: (a, b) => survival(b.facts, -1) - survival(a.facts, -1),
    success: (a, b) => Number(b.facts.dataset.success) - Number(a.facts.dataset.success),
    image: (a, b) => (a.card.dataset.image < b.card.dataset.image ? -1 : Number(a.card.dataset.image > b.card.dataset.image)),
  };

  function update() {
    const found = cases.map((card) => ({ card, facts: factsOf(card) })).filter((each) => each.facts && fits(each.card));
    found.sort(orders[form.elements.order.value]);
    for (const card of cases) card.hidden = true;
    found.forEach((each, place) => {
      showEngine(each.card, each.facts);
      each.card.hidden = place >= most;
    });
    list.prepend(...found.map((each) => each.card));
    const shown = Math.min(most, found.length);
    told.textContent = `${shown} of ${found.length} shown`;
    more.hidden = shown === found.length;
    more.textContent = `Show ${Math.min(STEP, found.length - shown)} more`;
  }

  gallery.classList.add("js");
  all(".pair").forEach(prepare);
  form.hidden = false;
  form.addEventListener("change", () => {
    most = STEP;
    update();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => {
    const first = most;
    most += STEP;
    update();
    const card = all(".case:not([hidden])")[first];
    card.tabIndex = -1;
    card.focus();
  });
  update();
})();
