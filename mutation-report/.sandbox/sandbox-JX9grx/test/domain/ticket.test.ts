import { supersedes } from '../../src/domain/ticket';

const version = (n: number) => ({ id: 'a'.repeat(24), version: n, title: 't', price: 1, userId: 'u' });

describe('a ticket event', () => {
  it('supersedes nothing stored, and lower versions', () => {
    expect(supersedes(version(5), undefined)).toBe(true);
    expect(supersedes(version(5), version(3))).toBe(true);
  });

  it('does not supersede itself or a higher version', () => {
    expect(supersedes(version(5), version(5))).toBe(false);
    expect(supersedes(version(5), version(6))).toBe(false);
  });
});
