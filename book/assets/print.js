// Paper is light, whatever the screen is: a colour scheme that was chosen is put aside while the page is printed.
(function () {
  const root = document.documentElement;
  let kept;
  addEventListener("beforeprint", () => {
    kept = root.dataset.theme;
    root.dataset.theme = "light";
  });
  addEventListener("afterprint", () => {
    if (kept) root.dataset.theme = kept;
  });
})();
