/*
 * Run by mongosh on the first member, until it ends with 0: the replica set is initiated. Every start of the pod runs
 * it again, so it must never initiate a second set: it does so only when every member answers and none is in a set.
 */

/**
 * What is to be done, from each member's answer to `hello` in the order of the members; undefined where there was none.
 * A member whose disk was lost knows of no set either, but the others do, and will take it in.
 */
function decide(members, hellos) {
  if (hellos.some((hello) => hello && hello.setName)) return { done: 'the replica set is initiated' };
  const silent = members.filter((_, i) => !hellos[i]);
  if (silent.length > 0) return { wait: `no answer from ${silent.join(', ')}` };
  // The mongod that the image starts to create its users is not the member yet.
  const other = members.filter((_, i) => !hellos[i].isreplicaset);
  if (other.length > 0) return { wait: `not started as a member: ${other.join(', ')}` };
  return { initiate: { _id: 'rs0', members: members.map((host, _id) => ({ _id, host })) } };
}

function hello(host) {
  try {
    return connect(`mongodb://${host}/admin?directConnection=true&serverSelectionTimeoutMS=3000`).hello();
  } catch {
    return undefined;
  }
}

/** With the credentials of the user that the image made; `host` is the member itself. */
function initiate(host, config) {
  const { MONGO_INITDB_ROOT_USERNAME: user, MONGO_INITDB_ROOT_PASSWORD: password } = process.env;
  const credentials = [user, password].map(encodeURIComponent).join(':');
  connect(`mongodb://${credentials}@${host}/admin?directConnection=true`).adminCommand({
    replSetInitiate: config,
  });
}

function main() {
  const members = process.env.MEMBERS.split(',');
  // Not with map(): mongosh cannot wait within a callback.
  const hellos = [];
  for (const member of members) hellos.push(hello(member));
  const decision = decide(members, hellos);
  if (decision.initiate) initiate(members[0], decision.initiate);
  print(decision.done || decision.wait || 'initiated');
  quit(decision.done ? 0 : 1);
}

main();
