// Formulas wider than the page scroll inside themselves; here they become places that the keyboard reaches.
(function () {
  function mark() {
    const boxes = [...document.querySelectorAll(".bd-article :is(.cwn-formula, span.math)")];
    // What is folded would have to be laid out to be measured: its turn comes when it is opened. All are measured before
    // one is marked, lest the page is laid out once for each.
    const wide = boxes.map((box) => box.checkVisibility() && box.scrollWidth > box.clientWidth);
    boxes.forEach((box, i) => {
      if (wide[i]) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    });
  }
  let timer;
  addEventListener("load", () => document.fonts.ready.then(mark));
  addEventListener("toggle", mark, true);
  addEventListener("resize", () => {
    clearTimeout(timer);
    timer = setTimeout(mark, 100);
  });
})();
