// Before the page is drawn: the theme that was chosen here earlier. Without a choice, the system's theme is used.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch { /* no storage: the system's */ }
