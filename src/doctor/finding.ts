/** One thing about this machine that matters to MegaPipe. */
export type Finding = {
  area: 'machine' | 'engines' | 'rights and hosts' | 'limits' | 'tools';
  name: string;
  /** yes: as it should be; limited: works, at a cost; no: not to be had here. */
  state: 'yes' | 'limited' | 'no';
  /** What was found. */
  detail: string;
  /** What is lost by it; absent where nothing is. */
  cost?: string;
  /** What can be done about it. */
  remedy?: string;
};
