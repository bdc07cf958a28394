/**
 * Run inside a service's container by `kubectl exec`: its process ends at once, as in a crash. From in there no signal
 * can kill a container's first process; but told by its debugger, it ends itself.
 */
const process = require('node:process');
const { setTimeout: sleep } = require('node:timers/promises');
const { fetch, WebSocket } = globalThis;

async function debuggerUrl() {
  for (;;) {
    const targets = await fetch('http://127.0.0.1:9229/json/list').catch(() => undefined);
    if (targets) return (await targets.json())[0].webSocketDebuggerUrl;
    await sleep(10);
  }
}

async function crash() {
  process.kill(1, 'SIGUSR1');
  const socket = new WebSocket(await debuggerUrl());
  socket.onopen = () => {
    const params = { expression: 'process.abort()' };
    socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params }));
  };
}

crash();
