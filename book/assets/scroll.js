// Formulas wider than the page scroll inside themselves, by touch and by keyboard.
(function () {
  function mark() {
    for (const box of document.querySelectorAll(".bd-article :is(.cwn-formula, span.math)")) {
      const inline = box.matches("span.math");
      box.classList.remove("cwn-wide");
      const column = inline ? box.closest("p, li, td, th, dd, figcaption, div") : box;
      const wide = inline ? box.offsetWidth > column.clientWidth : box.scrollWidth > box.clientWidth;
      box.classList.toggle("cwn-wide", wide);
      if (wide) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  }
  let timer;
  addEventListener("load", () => document.fonts.ready.then(mark));
  addEventListener("resize", () => {
    clearTimeout(timer);
    timer = setTimeout(mark, 100);
  });
})();
