import { parseOptions } from './options';

const KNOWN = ['place-1', 'list', 'show'];
const parse = (...args: string[]) => parseOptions(args, KNOWN);

describe('the options of the bench', () => {
  it('are all scenarios, three rounds and no other service by default', () => {
    expect(parse()).toEqual({
      scenarios: KNOWN,
      rounds: 3,
      seconds: 5,
      orders: 1_000_000,
      scale: 1,
      usual: false,
      folder: 'bench-report',
    });
  });

  it('name scenarios with commas or one by one, each of which runs once', () => {
    expect(parse('--scenario', 'show,list', '--scenario', 'list')).toMatchObject({
      scenarios: ['show', 'list'],
    });
  });

  it('describe another service that the bench starts, or that runs already', () => {
    expect(parse('--url', 'http://127.0.0.1:4000/api/orders/', '--command', 'npm start')).toMatchObject({
      other: {
        url: 'http://127.0.0.1:4000/api/orders',
        command: 'npm start',
        ticketSubject: 'ticket:created',
      },
    });
    const running = ['--token', 'T', '--nats', 'nats://127.0.0.1:4222', '--ticket-subject', 'ticket.created'];
    expect(parse('--url', 'http://127.0.0.1:4000', ...running)).toMatchObject({
      other: { token: 'T', natsUrl: 'nats://127.0.0.1:4222', ticketSubject: 'ticket.created' },
    });
  });

  it.each([
    [['--scenario', 'fly'], 'there is no scenario fly: there are place-1, list, show'],
    [['--rounds', '0'], '--rounds must be a whole number from 1 on, not "0"'],
    [['--orders', '10'], '--orders must be a whole number from 1000 on, not "10"'],
    [['--seconds', 'x'], '--seconds must be a number above 0, not "x"'],
    [['--scale', '-1'], /--scale/],
    [['--url', 'nowhere', '--command', 'c'], '--url must be a URL, not nowhere'],
    [['--url', 'http://h', '--token', 'T'], /--url needs --command, .*, or --nats/],
    [['--url', 'http://h', '--nats', 'nats://h'], /--url needs --token/],
    [['--token', 'T'], '--token says something of the service at --url, which is missing'],
    [['--faster'], /--faster/],
    [['list'], /list/],
  ])('are refused when they are wrong: %j', (args, message) => {
    expect(() => parse(...args)).toThrow(message);
  });
});
