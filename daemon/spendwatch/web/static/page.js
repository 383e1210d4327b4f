// Keeps an open page fresh: every minute, while somebody looks, its main part is put in anew. Without it the page works as well.
"use strict";
setInterval(async () => {
  const main = document.querySelector("main[data-live]"), busy = document.activeElement;
  if (!main || document.hidden || (busy && busy.matches("input, select, textarea, button"))) return;
  try {
    const answer = await fetch(location.href, {headers: {accept: "text/html"}, credentials: "same-origin"});
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const open = [...main.querySelectorAll("details")].map(one => one.open);
    for (const part of ["main", "footer"]) document.querySelector(part).replaceChildren(...fresh.querySelector(part).childNodes);
    main.querySelectorAll("details").forEach((one, number) => { one.open = open[number] || false; });
  } catch { /* the daemon restarts: the next minute tells */ }
}, 60000);
