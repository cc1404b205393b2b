/* The watch page: starts a session by a link, shows its avatar, and lets it speak. Talks to this server and the room's. */
(() => {
  "use strict";

  const { Room, RoomEvent, Track, DisconnectReason } = LivekitClient;
  const AUDIO_TOPIC = "lk.audio_stream";
  const STATE_TOPIC = "session.state";
  const WARNING_TOPIC = "session.warning";
  const READ_EVERY_MS = 15000; // how soon the page knows that its session was extended
  const CHUNK = 15000;

  const element = (id) => document.getElementById(id);
  const controls = ["text", "speak", "microphone", "interrupt", "end"].map(element);
  const speaks = document.body.dataset.speech === "yes";
  const link = document.body.dataset.link;
  let room = null;
  let session = null;
  let listening = null;
  let ticking = 0;
  let reading = 0;

  const REASONS = {
    ended_by_request: "The session has ended.",
    session_ended: "The session has ended.",
    expired: "The session's time is up.",
    nobody_joined: "The session has ended: nobody joined.",
    participants_left: "The session has ended.",
    minutes_exhausted: "The session has ended: no minutes are left.",
    server_lost: "The session has ended: its server was lost.",
  };

  const COMING = {
    expired: "its time is nearly up",
    minutes_exhausted: "the account's minutes are nearly used up",
    nobody_joined: "nobody has joined yet",
  };

  function show(state, words) {
    document.body.dataset.state = state;
    element("status").textContent = words;
  }

  function enable(on) {
    controls.forEach((control) => { control.disabled = !on; });
    if (!speaks) {
      element("text").disabled = true;
      element("speak").disabled = true;
    }
  }

  async function call(path, body) {
    const headers = { "Content-Type": "application/json" };
    if (session) headers["X-Session-Token"] = session.session_token;
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body || {}) });
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({}));
    const error = told.error || {};
    throw new Error(error.message || (typeof error === "string" ? error : "The server did not answer."));
  }

  /* --- start and end ------------------------------------------------------------------------------------------ */

  async function start() {
    element("start").disabled = true;
    show("waking", "Waking the avatar…");
    try {
      session = await (await call("/v1/links/start-session", { link_id: link })).json();
      show("joining", "Connecting to the room…");
      element("stage").className = `stage ratio-${session.aspect_ratio.replace(":", "x")}`;
      await join();
    } catch (error) {
      failed(error.message);
    }
  }

  async function join() {
    room = new Room({ adaptiveStream: false, dynacast: false });
    room.on(RoomEvent.TrackSubscribed, attach);
    room.on(RoomEvent.Reconnecting, () => show("reconnecting", "Connection lost, trying again…"));
    room.on(RoomEvent.Reconnected, () => show("live", "Live"));
    room.on(RoomEvent.Disconnected, (reason) => over(reason));
    room.on(RoomEvent.DataReceived, hear);
    room.registerRpcMethod("lk.playback_started", async () => { show("speaking", "Speaking…"); return "ok"; });
    room.registerRpcMethod("lk.playback_finished", async () => { show("live", "Live"); return "ok"; });
    await room.connect(session.livekit_url, session.participant_token);
    await room.startAudio().catch(() => {});
    tick();
    ticking = setInterval(tick, 500);
    reading = setInterval(read, READ_EVERY_MS);
  }

  function attach(track) {
    if (track.kind === Track.Kind.Audio) {
      document.body.append(track.attach());
      return;
    }
    const video = element("video");
    track.attach(video);
    video.addEventListener("playing", () => {
      document.body.dataset.picture = "yes";
      show("live", "Live");
      enable(true);
      element(speaks ? "text" : "microphone").focus({ preventScroll: true });
    }, { once: true });
  }

  let told = "";
  let warnedOf = null;

  function hear(data, participant, kind, topic) {
    if (!session || !participant || participant.identity !== session.agent_identity) return;
    if (topic !== STATE_TOPIC && topic !== WARNING_TOPIC) return;
    const message = JSON.parse(new TextDecoder().decode(data));
    if (topic === WARNING_TOPIC) warn(message);
    else if (message.state === "disconnected") told = message.reason || "session_ended";
  }

  function warn({ reason, seconds_left: seconds }) {
    const why = COMING[reason] ? `: ${COMING[reason]}` : "";
    element("warning").textContent = `The session ends in ${seconds} s${why}.`;
    element("warning").hidden = false;
    warnedOf = session.expiration;
  }

  /* What was extended ends later than we were told: a missed reading is made up for by the next. */
  async function read() {
    const mine = session;
    const path = `/watch/sessions/${mine.session_id}`;
    const answer = await fetch(path, { headers: { "X-Session-Token": mine.session_token } }).catch(() => null);
    if (!answer || !answer.ok || session !== mine) return;
    session.expiration = (await answer.json()).expiration;
    if (session.expiration !== warnedOf) element("warning").hidden = true;
    tick();
  }

  function over(reason) {
    if (!session) return;
    if (session.expiration && Date.parse(session.expiration) - Date.now() < 1500) told = "expired";
    const lost = reason === DisconnectReason.DUPLICATE_IDENTITY
      ? "The session goes on in another window."
      : REASONS[told] || REASONS.session_ended;
    close();
    show("ended", lost);
  }

  function failed(words) {
    close();
    show("failed", words);
    element("start").textContent = "Try again";
    element("start").focus({ preventScroll: true });
  }

  function close() {
    clearInterval(ticking);
    clearInterval(reading);
    enable(false);
    stopListening();
    document.body.dataset.picture = "no";
    element("time").hidden = true;
    element("warning").hidden = true;
    element("start").disabled = false;
    element("start").textContent = "Start again";
    const left = room;
    room = null;
    session = null;
    if (left) left.disconnect();
    told = "";
  }

  async function end() {
    enable(false);
    told = "ended_by_request";
    await call(`/watch/sessions/${session.session_id}/end`).catch((error) => show("live", error.message));
  }

  function tick() {
    if (!session) return;
    element("time").hidden = false;
    const left = session.expiration ? Math.max(0, (Date.parse(session.expiration) - Date.now()) / 1000) : null;
    element("time-left").textContent = left === null ? "no limit" : `${clock(left)} left`;
  }

  function clock(seconds) {
    const whole = Math.floor(seconds);
    const two = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(whole / 3600);
    const rest = `${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
    return hours ? `${hours}:${rest}` : rest;
  }

  /* --- speech ---------------------------------------------------------------------------------------------------- */

  function stream(rate) {
    return room.localParticipant.streamBytes({
      name: `AUDIO_${Math.random().toString(36).slice(2)}`,
      topic: AUDIO_TOPIC,
      mimeType: "application/octet-stream",
      destinationIdentities: [session.agent_identity],
      attributes: { sample_rate: String(rate), num_channels: "1" },
    });
  }

  async function speak(event) {
    event.preventDefault();
    const text = element("text").value.trim();
    if (!text) return;
    element("text").value = "";
    try {
      const answer = await call(`/watch/sessions/${session.session_id}/speech`, { text });
      const sound = new Uint8Array(await answer.arrayBuffer());
      const writer = await stream(answer.headers.get("X-Sample-Rate"));
      for (let at = 0; at < sound.length; at += CHUNK) await writer.write(sound.subarray(at, at + CHUNK));
      await writer.close();
    } catch (error) {
      element("hint").textContent = error.message;
    }
  }

  async function interrupt() {
    stopListening();
    await room.localParticipant
      .performRpc({ destinationIdentity: session.agent_identity, method: "lk.clear_buffer", payload: "" })
      .catch((error) => { element("hint").textContent = error.message; });
  }

  async function toggleMicrophone() {
    if (listening) {
      stopListening();
      return;
    }
    try {
      await startListening();
      element("microphone").setAttribute("aria-pressed", "true");
      element("microphone").textContent = "Stop microphone";
    } catch (error) {
      stopListening();
      element("hint").textContent = `The microphone cannot be used: ${error.message}`;
    }
  }

  async function startListening() {
    const sound = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } });
    const context = new AudioContext();
    listening = { sound, context, writer: null };
    await context.audioWorklet.addModule("/watch/static/microphone.js");
    const worklet = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
    const writer = await stream(context.sampleRate);
    listening.writer = writer;
    worklet.port.onmessage = ({ data }) => writer.write(new Uint8Array(data.buffer)).catch(stopListening);
    context.createMediaStreamSource(sound).connect(worklet);
  }

  function stopListening() {
    if (!listening) return;
    const { sound, context, writer } = listening;
    listening = null;
    sound.getTracks().forEach((track) => track.stop());
    context.close();
    if (writer) writer.close().catch(() => {});
    element("microphone").setAttribute("aria-pressed", "false");
    element("microphone").textContent = "Use microphone";
  }

  /* --- wiring ----------------------------------------------------------------------------------------------------- */

  element("start").addEventListener("click", start);
  element("end").addEventListener("click", end);
  element("interrupt").addEventListener("click", interrupt);
  element("microphone").addEventListener("click", toggleMicrophone);
  element("speak-form").addEventListener("submit", speak);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && room) interrupt();
  });
  if (!speaks) element("text").placeholder = "This server cannot speak texts; use the microphone.";
  if (link) {
    element("start").disabled = false;
    show("idle", "Ready when you are");
  } else {
    element("start").textContent = "Nothing to see";
    show("failed", "This link is not known.");
  }
})();
