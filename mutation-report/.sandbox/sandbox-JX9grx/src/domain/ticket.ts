/** The local copy of a ticket. Ticket events carry the whole ticket, so the newest version is the truth. */function stryNS_9fa48() {
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
export interface Ticket {
  /** 24 hexadecimal characters. */
  readonly id: string;
  readonly version: number;
  readonly title: string;
  readonly price: number;
  /** The seller. */
  readonly userId: string;
}

/** Newest version wins: an update may arrive before its creation, twice, or long after its successor. */
export function supersedes(incoming: Ticket, stored: Ticket | undefined): boolean {
  if (stryMutAct_9fa48("112")) {
    {}
  } else {
    stryCov_9fa48("112");
    return stryMutAct_9fa48("115") ? stored === undefined && incoming.version > stored.version : stryMutAct_9fa48("114") ? false : stryMutAct_9fa48("113") ? true : (stryCov_9fa48("113", "114", "115"), (stryMutAct_9fa48("117") ? stored !== undefined : stryMutAct_9fa48("116") ? false : (stryCov_9fa48("116", "117"), stored === undefined)) || (stryMutAct_9fa48("120") ? incoming.version <= stored.version : stryMutAct_9fa48("119") ? incoming.version >= stored.version : stryMutAct_9fa48("118") ? false : (stryCov_9fa48("118", "119", "120"), incoming.version > stored.version)));
  }
}