"use strict";
// The page reads without this script. It adds the steps of a sweep one at a time, buttons that copy, regions
// that scroll by keyboard where they are too narrow, and opens what a link or the printer asks for.

function stepper(sweep) {
  const steps = [...sweep.querySelectorAll(".bp-step")];
  const bar = document.createElement("div");
  const count = document.createElement("span");
  let now = 0;
  const button = (label, move) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = label;
    made.addEventListener("click", () => show(move()));
    return made;
  };
  const first = button("First", () => 0);
  const back = button("← Back", () => now - 1);
  const next = button("Next →", () => now + 1);
  const last = button("Last", () => steps.length - 1);
  const all = document.createElement("button");

  function show(wanted) {
    now = Math.max(0, Math.min(steps.length - 1, wanted));
    sweep.dataset.step = String(now + 1);
    steps.forEach((step, at) => { step.hidden = at !== now; });
    first.disabled = back.disabled = now === 0;
    last.disabled = next.disabled = now === steps.length - 1;
    const title = steps[now].querySelector("h5").textContent.trim().replace(/\s+/g, " ");
    count.textContent = `Step ${now + 1} of ${steps.length}`;
    said.textContent = `Step ${now + 1} of ${steps.length}: ${title}`;
  }

  bar.className = "bp-controls";
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "Steps of the sweep; the arrow keys, Home and End work too");
  count.className = "bp-count";
  count.setAttribute("aria-hidden", "true");
  const said = document.createElement("span");
  said.className = "bp-unseen";
  said.setAttribute("role", "status");
  all.type = "button";
  all.textContent = "All steps";
  all.setAttribute("aria-pressed", "false");
  all.addEventListener("click", () => {
    const whole = all.getAttribute("aria-pressed") !== "true";
    all.setAttribute("aria-pressed", String(whole));
    if (!whole) return show(now);
    steps.forEach((step) => { step.hidden = false; });
    count.textContent = said.textContent = `All ${steps.length} steps`;
  });
  bar.append(first, back, next, last, count, all, said);
  sweep.insertBefore(bar, sweep.querySelector(".bp-steps"));
  sweep.addEventListener("keydown", (event) => {
    const scrolls = event.target.closest(".bp-scroll") && event.target.tabIndex === 0;
    const moves = { ArrowRight: 1, ArrowLeft: -1, Home: -steps.length, End: steps.length };
    if (!(event.key in moves) || scrolls || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    all.setAttribute("aria-pressed", "false");
    show(now + moves[event.key]);
    // a button that is disabled loses the focus, and with it the keys
    if (document.activeElement === document.body || document.activeElement.disabled) (next.disabled ? back : next).focus();
  });
  show(0);
}

function copier(code) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = "Copy";
  made.setAttribute("aria-label", "Copy the Python");
  made.addEventListener("click", async () => {
    const text = code.querySelector("code").textContent;
    try {
      await navigator.clipboard.writeText(text);
      made.textContent = "Copied";
    } catch {
      // a page that was opened from disk may not use the clipboard: what is marked can be copied by key
      getSelection().selectAllChildren(code.querySelector("code"));
      made.textContent = document.execCommand("copy") ? "Copied" : "Marked: copy it";
    }
    setTimeout(() => { made.textContent = "Copy"; }, 2000);
  });
  code.append(made);
}

// Observed, and not asked at once: to ask lays out what no one sees.
const widths = new ResizeObserver((entries) => {
  for (const { target: one } of entries) {
    const wide = one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0;
    if (wide === one.hasAttribute("tabindex")) continue;
    if (wide) {
      one.setAttribute("role", "region");
      one.setAttribute("aria-label", one.dataset.label);
      one.tabIndex = 0;
    } else {
      for (const name of ["role", "aria-label", "tabindex"]) one.removeAttribute(name);
    }
  }
});

function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const inside = target.querySelector(":scope > details");
  if (inside) inside.open = true;
  target.scrollIntoView();
}

document.querySelectorAll(".bp-sweep").forEach(stepper);
document.querySelectorAll(".bp-code").forEach(copier);
document.querySelectorAll(".bp-scroll").forEach((one) => widths.observe(one));
addEventListener("hashchange", openTarget);
addEventListener("beforeprint", () => document.querySelectorAll("main details").forEach((one) => { one.open = true; }));
openTarget();
