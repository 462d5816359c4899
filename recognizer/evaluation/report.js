"use strict";
for (const sound of document.querySelectorAll(".sound")) {
  const player = sound.querySelector("audio"), strip = sound.querySelector(".strip");
  const head = strip.querySelector(".playhead"), left = Number(strip.dataset.left), second = Number(strip.dataset.second);
  const move = () => {
    const x = player.currentTime * second;
    head.setAttribute("visibility", "visible");
    head.setAttribute("transform", `translate(${x} 0)`);
    if (left + x < strip.scrollLeft || left + x > strip.scrollLeft + strip.clientWidth) strip.scrollLeft = x;
    if (!player.paused && !player.ended) requestAnimationFrame(move);
  };
  player.addEventListener("play", move);
  player.addEventListener("seeked", move);
  strip.querySelector("svg").addEventListener("click", (event) => {
    const place = event.clientX - event.currentTarget.getBoundingClientRect().left - left;
    player.currentTime = Math.max(0, place / second);
  });
}
