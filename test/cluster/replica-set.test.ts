import { CHART, describeUnless, helm, kubectl, pods, set, soon } from './cluster';
import { BUYER, call, place, show, startPeer } from './peer';

const NAMES = [0, 1, 2].map((i) => `trio-order-service-mongodb-${i}`);

const standIn =
  process.env['TEST_CLUSTER'] === 'one-node'
    ? 'the mongo image of the one-node cluster knows no second member'
    : undefined;

describeUnless(standIn, 'a MongoDB of three members', () => {
  let orderId: string;
  let setId: string;

  it('is one replica set that the service works with', async () => {
    await helm('install', 'trio', CHART, '--wait', '--timeout', '10m', ...set('mongodb.replicas=3'));
    await helm('test', 'trio', '--timeout', '2m');
    await startPeer('trio');
    orderId = (await place()).id;
    setId = await soonWholeSet();
  }, 900_000);

  it('is the same set with the same data when all its pods were deleted', async () => {
    await kubectl('delete', 'pod', ...NAMES);
    await soonAllReady();
    expect(await soonWholeSet()).toBe(setId);
    await soon(async () => expect(await show(orderId)).toMatchObject({ status: 'created' }));
  }, 600_000);

  it('stays so when every member is replaced by an upgrade', async () => {
    const values = set('mongodb.replicas=3', 'mongodb.podAnnotations.turn=second');
    await helm('upgrade', 'trio', CHART, '--wait', '--timeout', '10m', ...values);
    expect(await soonWholeSet()).toBe(setId);
    await soon(async () => expect(await show(orderId)).toMatchObject({ status: 'created' }));
    const [cancelled] = await call({ method: 'DELETE', path: `/${orderId}`, user: BUYER });
    expect(cancelled).toMatchObject({ status: 204 });
  }, 900_000);
});

async function soonAllReady(): Promise<void> {
  await soon(async () =>
    expect(await pods('mongodb', 'trio')).toMatchObject(NAMES.map((name) => ({ name, ready: true }))),
  );
}

/** Resolves to the id of the set when one member is primary and two are secondary, and all say so. */
async function soonWholeSet(): Promise<string> {
  return soon(async () => {
    const views = await Promise.all(NAMES.map(setAsSeenBy));
    for (const { states } of views) expect(states.sort()).toEqual(['PRIMARY', 'SECONDARY', 'SECONDARY']);
    const ids = new Set(views.map(({ id }) => id));
    expect(ids.size).toBe(1);
    return views[0]!.id;
  });
}

const SET_AS_SEEN = `
  const { members } = rs.status();
  const id = rs.conf().settings.replicaSetId.toString();
  print(JSON.stringify({ id, states: members.map(({ stateStr }) => stateStr) }));
`;

async function setAsSeenBy(member: string): Promise<{ id: string; states: string[] }> {
  const mongosh =
    'exec mongosh --quiet --username root --password "$MONGO_INITDB_ROOT_PASSWORD" admin --eval "$0"';
  const script = ['bash', '-c', mongosh, SET_AS_SEEN];
  const view = await kubectl('exec', member, '--container', 'mongodb', '--', ...script);
  return JSON.parse(view) as { id: string; states: string[] };
}
