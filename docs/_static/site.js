// Names for what the theme leaves without one, or with two: heard by who cannot see the page.
document.addEventListener("DOMContentLoaded", () => {
  for (const toggle of document.querySelectorAll("summary:has(.toctree-toggle)")) {
    toggle.setAttribute("aria-label", `Pages under ${toggle.closest("li").querySelector("a").textContent.trim()}`);
  }
  for (const button of document.querySelectorAll(".navbar-persistent--container .search-button-field")) button.removeAttribute("aria-label");
});
