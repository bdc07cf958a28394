/** The plugin's own file: the package's entry would also load all of core-js. */
declare module 'mongoose-update-if-current/lib/version-occ-plugin' {
  import type { Schema } from 'mongoose';
  /** Makes each save of a loaded document conditional on its version, and increments it. */
  export function versionOCCPlugin(schema: Schema): void;
}
