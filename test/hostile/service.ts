export { sumOfSeries } from '../support/series';
