// Dark or light, as the system says or as it was switched; loaded before the page is drawn, so that it does not flash.
(() => {
  const root = document.documentElement;
  const recall = () => { try { return localStorage.getItem("recognizer-theme"); } catch { return null; } };
  const kept = recall();
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  window.switchTheme = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("recognizer-theme", root.dataset.theme); } catch { /* storage is switched off: it holds until the page is closed */ }
    document.dispatchEvent(new CustomEvent("theme"));
    return root.dataset.theme;
  };
})();
