// Before the first paint: the scheme that this browser chose, where it chose one.
try {
  const chosen = localStorage.getItem("credit-console-theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch { /* storage is switched off: the system's scheme counts */ }
document.documentElement.classList.add("js");
