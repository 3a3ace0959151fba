// Light, dark, or as the system: remembered where the browser lets a file remember something.
(() => {
  const order = ["auto", "light", "dark"];
  const words = { auto: "system", light: "light", dark: "dark" };
  const button = nb.byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const listeners = [];
  const stored = (value) => {
    try {
      if (value) localStorage.setItem("nerbench-theme", value);
      return localStorage.getItem("nerbench-theme");
    } catch { return null; }
  };
  const set = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${words[theme]}`;
    listeners.forEach((call) => call());
  };
  nb.isDark = () => {
    const theme = document.documentElement.dataset.theme;
    return !matchMedia("print").matches && (theme === "dark" || (theme === "auto" && system.matches));
  };
  nb.onTheme = (call) => listeners.push(call);
  button.addEventListener("click", () => {
    const next = order[(order.indexOf(document.documentElement.dataset.theme) + 1) % order.length];
    stored(next);
    set(next);
  });
  system.addEventListener("change", () => listeners.forEach((call) => call()));
  const before = stored();
  set(order.includes(before) ? before : "auto");
})();
