export { pause, until } from '../waiting.js';
