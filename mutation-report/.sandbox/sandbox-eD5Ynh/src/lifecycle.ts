function stryNS_9fa48() {
  var g = typeof globalThis === 'object' && globalThis && globalThis.Math === Math && globalThis || new Function("return this")();
  var ns = g.__stryker__ || (g.__stryker__ = {});
  if (ns.activeMutant === undefined && g.process && g.process.env && g.process.env.__STRYKER_ACTIVE_MUTANT__) {
    ns.activeMutant = g.process.env.__STRYKER_ACTIVE_MUTANT__;
  }
  function retrieveNS() {
    return ns;
  }
  stryNS_9fa48 = retrieveNS;
  return retrieveNS();
}
stryNS_9fa48();
function stryCov_9fa48() {
  var ns = stryNS_9fa48();
  var cov = ns.mutantCoverage || (ns.mutantCoverage = {
    static: {},
    perTest: {}
  });
  function cover() {
    var c = cov.static;
    if (ns.currentTestId) {
      c = cov.perTest[ns.currentTestId] = cov.perTest[ns.currentTestId] || {};
    }
    var a = arguments;
    for (var i = 0; i < a.length; i++) {
      c[a[i]] = (c[a[i]] || 0) + 1;
    }
  }
  stryCov_9fa48 = cover;
  cover.apply(null, arguments);
}
function stryMutAct_9fa48(id) {
  var ns = stryNS_9fa48();
  function isActive(id) {
    if (ns.activeMutant === id) {
      if (ns.hitCount !== void 0 && ++ns.hitCount > ns.hitLimit) {
        throw new Error('Stryker: Hit count limit reached (' + ns.hitCount + ')');
      }
      return true;
    }
    return false;
  }
  stryMutAct_9fa48 = isActive;
  return isActive(id);
}
import type { Log } from './application/ports';

/** Something that is started after what it needs and stopped before it. */
export interface Part {
  readonly name: string;
  start?(): void | Promise<void>;
  stop?(): void | Promise<void>;
}
export interface Lifecycle {
  /** Starts the parts in order. Dependencies that are away do not fail it: the parts wait for them. */
  start(): Promise<void>;
  /**
   * Stops them in reverse. Resolves to false if that did not end within the deadline. Once begun, later calls get the
   * same result.
   */
  stop(): Promise<boolean>;
  draining(): boolean;
}
export function createLifecycle(parts: readonly Part[], deps: {
  deadlineMs: number;
  log: Log;
}): Lifecycle {
  if (stryMutAct_9fa48("121")) {
    {}
  } else {
    stryCov_9fa48("121");
    const {
      log
    } = deps;
    const started: Part[] = stryMutAct_9fa48("122") ? ["Stryker was here"] : (stryCov_9fa48("122"), []);
    let stopping: Promise<boolean> | undefined;
    async function stopAll(): Promise<void> {
      if (stryMutAct_9fa48("123")) {
        {}
      } else {
        stryCov_9fa48("123");
        for (const part of stryMutAct_9fa48("124") ? started : (stryCov_9fa48("124"), started.reverse())) {
          if (stryMutAct_9fa48("125")) {
            {}
          } else {
            stryCov_9fa48("125");
            try {
              if (stryMutAct_9fa48("126")) {
                {}
              } else {
                stryCov_9fa48("126");
                await (stryMutAct_9fa48("127") ? part.stop() : (stryCov_9fa48("127"), part.stop?.()));
                log.debug(stryMutAct_9fa48("128") ? {} : (stryCov_9fa48("128"), {
                  part: part.name
                }), stryMutAct_9fa48("129") ? "" : (stryCov_9fa48("129"), 'stopped'));
              }
            } catch (error) {
              if (stryMutAct_9fa48("130")) {
                {}
              } else {
                stryCov_9fa48("130");
                // The others are to be stopped all the same.
                log.error(stryMutAct_9fa48("131") ? {} : (stryCov_9fa48("131"), {
                  err: error,
                  part: part.name
                }), stryMutAct_9fa48("132") ? "" : (stryCov_9fa48("132"), 'stopping failed'));
              }
            }
          }
        }
      }
    }
    async function withinDeadline(work: Promise<void>): Promise<boolean> {
      if (stryMutAct_9fa48("133")) {
        {}
      } else {
        stryCov_9fa48("133");
        let timer: NodeJS.Timeout | undefined;
        const deadline = new Promise<false>(resolve => {
          if (stryMutAct_9fa48("134")) {
            {}
          } else {
            stryCov_9fa48("134");
            timer = setTimeout(stryMutAct_9fa48("135") ? () => undefined : (stryCov_9fa48("135"), () => resolve(stryMutAct_9fa48("136") ? true : (stryCov_9fa48("136"), false))), deps.deadlineMs);
          }
        });
        const inTime = await Promise.race(stryMutAct_9fa48("137") ? [] : (stryCov_9fa48("137"), [work.then(stryMutAct_9fa48("138") ? () => undefined : (stryCov_9fa48("138"), () => stryMutAct_9fa48("139") ? false : (stryCov_9fa48("139"), true))), deadline]));
        clearTimeout(timer);
        return inTime;
      }
    }
    return stryMutAct_9fa48("140") ? {} : (stryCov_9fa48("140"), {
      async start() {
        if (stryMutAct_9fa48("141")) {
          {}
        } else {
          stryCov_9fa48("141");
          for (const part of parts) {
            if (stryMutAct_9fa48("142")) {
              {}
            } else {
              stryCov_9fa48("142");
              if (stryMutAct_9fa48("144") ? false : stryMutAct_9fa48("143") ? true : (stryCov_9fa48("143", "144"), stopping)) return;
              started.push(part);
              await (stryMutAct_9fa48("145") ? part.start() : (stryCov_9fa48("145"), part.start?.()));
            }
          }
        }
      },
      stop() {
        if (stryMutAct_9fa48("146")) {
          {}
        } else {
          stryCov_9fa48("146");
          stryMutAct_9fa48("147") ? stopping &&= withinDeadline(stopAll()) : (stryCov_9fa48("147"), stopping ??= withinDeadline(stopAll()));
          return stopping;
        }
      },
      draining: stryMutAct_9fa48("148") ? () => undefined : (stryCov_9fa48("148"), () => stryMutAct_9fa48("151") ? stopping === undefined : stryMutAct_9fa48("150") ? false : stryMutAct_9fa48("149") ? true : (stryCov_9fa48("149", "150", "151"), stopping !== undefined))
    });
  }
}