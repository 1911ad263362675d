/* Passkeys: a form with data-passkey asks the browser for a credential, and is sent with it.
   "add" makes one, "use" proves one; the options stand in data-options, or are fetched from data-ask. */
(() => {
  "use strict";
  const supported = window.PublicKeyCredential && window.webauthnJSON;

  const options = async (form) => {
    if (form.dataset.options) return JSON.parse(form.dataset.options);
    const answer = await fetch(form.dataset.ask, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.status);
    return (await answer.json()).request_options;
  };

  const credential = async (form) => {
    const asked = await options(form);
    if (form.dataset.passkey === "use") return window.webauthnJSON.get(asked);
    // One that signs in by itself has to live on the device and know its owner.
    const alone = form.elements.passwordless?.checked;
    Object.assign(asked.publicKey.authenticatorSelection, {
      residentKey: alone ? "required" : "discouraged",
      requireResidentKey: Boolean(alone),
      ...(alone ? { userVerification: "required" } : {}),
    });
    return window.webauthnJSON.create(asked);
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!supported) continue;
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      if (form.elements.credential.value) return;
      event.preventDefault();
      const said = form.querySelector("[data-said]");
      said.hidden = true;
      try {
        form.elements.credential.value = JSON.stringify(await credential(form));
        form.submit();
      } catch {
        said.hidden = false;
      }
    });
  }
})();
