import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { UserError } from '../base/errors.js';

// What a port.json may hold. The descriptions are its documentation: `megapipe build --schema` prints them as JSON Schema.

const sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'a sha256 is 64 hexadecimal digits')
  .describe('The sha256 of the tarball.');

const words = z.array(z.string());
const environment = z.record(z.string().regex(/^[A-Za-z_]\w*$/, 'no name of a variable'), z.string());

const tarball = z.strictObject({ url: z.url().describe('Where the tarball is.'), sha256 });

const upstream = tarball.describe(
  'The release at its makers’: taken where Debian’s mirrors have none, and accepted with --source.',
);

const elsewhere = z
  .array(tarball)
  .describe('Where else the release is: tried in this order where neither of the others has it.');

const debian = z
  .strictObject({
    package: z.string().describe('The name of Debian’s source package.'),
    file: z.string().describe('The original tarball in it, such as hello_1.0.orig.tar.gz.'),
    sha256,
    release: z
      .string()
      .regex(/^[a-z]+$/, 'the code name of a release is of small letters')
      .optional()
      .describe(
        'The release of Debian that has this version, by its code name. On that release this version is the usual one.',
      ),
    patches: z
      .boolean()
      .default(false)
      .describe(
        'Apply Debian’s own patches to the tree first, for both variants: those of the newest packaging of this version, ' +
          'checked by apt. They are not counted as the port’s. An unpacked tree given with --source is taken as it is.',
      ),
  })
  .describe('The release in Debian’s source package, fetched through the mirrors that apt uses.');

const files = z
  .strictObject({
    from: z.string().min(1).describe('A folder beside port.json, which is copied with all folders in it.'),
    to: z.string().default('.').describe('The folder of the application’s tree that it is copied into.'),
  })
  .describe(
    'Our own files. Without this the C files (*.c, *.h) beside port.json are copied into the tree’s top.',
  );

const make = z
  .strictObject({
    arguments: words
      .default([])
      .describe('Arguments of make: targets, variables, -C FOLDER. {cflags} is the compiler’s flags.'),
    environment: environment.default({}).describe('Variables of make’s environment, with {cflags} too.'),
  })
  .describe('How make is run, in the top of the tree, for every variant.');

const packages = words.describe(
  'Debian packages that it is built with, beside a compiler and make: those that are missing are installed.',
);

const compilerFlags = words.describe('Added to the compiler’s flags, for every variant.');

const products = words
  .nonempty()
  .describe('Files that the build must leave in the tree; the first is the server.');

const sanitize = words.describe('What --sanitize adds to the arguments, beside the compiler’s flags.');

const configure = words.describe('Arguments of configure, for every variant.');

const otherVersion = z
  .strictObject({
    debian: debian.optional(),
    upstream: upstream.optional(),
    elsewhere: elsewhere.default([]),
    patches: z
      .array(z.string().regex(/^[\w.-]+$/, 'a folder beside port.json'))
      .nonempty()
      .default(['patches'])
      .describe(
        'The folders of its patches: of each number there is one, which is taken from the first folder that has it. Those in ' +
          'their fixes/ are for both variants, and are not counted.',
      ),
    sources: words
      .nonempty()
      .optional()
      .describe('Its own C files, where they are not all beside port.json.'),
    generated: z
      .record(z.string(), z.string())
      .optional()
      .describe('Files that a tree from version control lacks, and what is in them.'),
    packages: packages.optional(),
    configure: configure.optional(),
    sanitize: sanitize.optional(),
    compilerFlags: compilerFlags.optional(),
    products: products.optional(),
  })
  .refine(({ debian, upstream, elsewhere }) => debian ?? upstream ?? elsewhere[0], {
    message: 'says nowhere what the source is: give debian or upstream',
  })
  .describe('Another version, in what it differs.');

const serve = z
  .strictObject({
    protocol: z
      .enum(['http', 'memcached', 'echo'])
      .describe(
        'What the server speaks, and so which generator loads it: http serves the files of the HTTP workloads, memcached ' +
          'stores and gets, echo says again what it is told.',
      ),
    workers: z
      .enum(['one', 'threads', 'processes'])
      .default('threads')
      .describe(
        'What {workers} means to the server: nothing (it has one thread, and gets one CPU), threads, or processes beside ' +
          'a master.',
      ),
    techniques: z
      .array(z.enum(['partition', 'batch', 'lwsocket']))
      .default(['partition', 'batch', 'lwsocket'])
      .describe('The techniques that can be turned on and off.'),
    config: z
      .string()
      .min(1)
      .optional()
      .describe(
        'A file beside port.json, which is written anew for each server with its placeholders filled in.',
      ),
    arguments: words
      .default([])
      .describe(
        'The server’s arguments. Placeholders: {address}, {port}, {workers}, {files} (an http server’s root), {scratch} (a ' +
          'folder for this server only), {config}, {folder} (of port.json); and {engine}, {batch}, {moderation} (µs), ' +
          '{lwsocket} and {partition} (on or off), which a baseline has not.',
      ),
    environment: environment
      .default({})
      .describe('Variables of the server’s environment, with the same placeholders.'),
    baseline: z
      .strictObject({
        arguments: words.default([]).describe('Added to the arguments.'),
        environment: environment.default({}).describe('Added to the environment.'),
      })
      .default({ arguments: [], environment: {} })
      .describe('What only the baseline gets.'),
    megapipe: z
      .strictObject({
        arguments: words.default([]).describe('Added to the arguments.'),
        environment: environment.default({}).describe('Added to the environment.'),
      })
      .default({ arguments: [], environment: {} })
      .describe(
        'What only the megapipe variant gets. A server over MegaPipe says in a line of its output what it runs as, and bench ' +
          'checks it: “engine uring, batch 32, lwsocket on, partition off, moderation 0 us”.',
      ),
  })
  .describe('How serve and bench run the server, and what load loads it with.');

const common = {
  $schema: z.string().optional().describe('For editors.'),
  name: z
    .string()
    .regex(/^[a-z0-9][\w.+-]*$/, 'a name of letters, digits and .+-, which names a folder of build/')
    .describe('The application’s name.'),
  version: z.string().describe('The version that the patches are for.'),
  licence: z.string().describe('The application’s licence, which the patches share.'),
  debian: debian.optional(),
  upstream: upstream.optional(),
  elsewhere: elsewhere.default([]),
  versions: z
    .record(z.string().regex(/^\d[\w.-]*$/, 'a version begins with a digit'), otherVersion)
    .default({})
    .describe('Other versions, for --version.'),
  packages: packages.default([]),
  compilerFlags: compilerFlags.default([]),
  megapipe: words.describe(
    'Added to the arguments of configure or make for the megapipe variant: the only difference between the variants, but ' +
      'for MEGAPIPE_CFLAGS and MEGAPIPE_LIBS, which say where libmegapipe is. {port} is the port’s folder (kind nginx).',
  ),
  sanitize: sanitize.default([]),
  products,
  serve: serve.optional(),
};

const autoconf = z.strictObject({
  kind: z.literal('autoconf').describe('./configure, then make.'),
  ...common,
  configure,
  files: files.optional(),
});

const nginx = z.strictObject({
  kind: z.literal('nginx').describe('nginx’s configure, with a module in the port’s folder.'),
  ...common,
  configure,
});

const makeKind = z.strictObject({
  kind: z.literal('make').describe('make alone.'),
  ...common,
  megapipe: common.megapipe.default([]),
  make: make.default({ arguments: [], environment: {} }),
  files: files.optional(),
});

const portFile = z
  .discriminatedUnion('kind', [autoconf, nginx, makeKind])
  .refine(({ debian, upstream }) => debian ?? upstream, {
    message: 'says nowhere what the source is: give debian or upstream',
  });

type MakeSettings = z.infer<typeof make>;
export type ServeSettings = z.infer<typeof serve>;

/** A port.json as it is read: what only some kinds have is empty in the others. */
export type PortFile = Omit<z.infer<typeof autoconf>, 'kind'> & {
  kind: z.infer<typeof portFile>['kind'];
  make: MakeSettings;
};

/** JSON Schema of a port.json. */
export function portFileSchema(): object {
  const schema = z.toJSONSchema(portFile, { io: 'input' });
  return { title: 'port.json: an application ported to MegaPipe', ...schema };
}

/** Read and check a port.json; the error names the file, the field and what is wrong with it. */
export function readPortFile(file: string): PortFile {
  const value = readJson(file);
  const parsed = portFile.safeParse(value);
  if (parsed.success)
    return { configure: [], make: { arguments: [], environment: {} }, files: undefined, ...parsed.data };
  const wrong = parsed.error.issues.map((issue) => explain(issue, value)).join(', ');
  throw new UserError(`${file} is wrong: ${wrong}`, {
    hint: 'correct it; what it may hold: npx megapipe build --schema',
  });
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new UserError(`${file} is not JSON: ${(cause as Error).message}`, { hint: 'correct it', cause });
  }
}

type Issue = z.core.$ZodIssue;

/** A field and what is wrong with it, in one line. */
function explain(issue: Issue, file: unknown): string {
  const field = issue.path.join('.');
  const named = (why: string) => (field === '' ? why : `${field}: ${why}`);
  if (issue.code === 'unrecognized_keys') {
    const keys = issue.keys.map((key) => [...issue.path, key].join('.'));
    return `${keys.join(', ')}: no such field`;
  }
  const given = valueAt(file, issue.path);
  if (issue.code === 'invalid_union' && 'options' in issue)
    return named(`${said(given)}, and not one of ${(issue.options as string[]).join(', ')}`);
  if (issue.code === 'invalid_value')
    return named(`${said(given)}, and not one of ${issue.values.join(', ')}`);
  if (issue.code === 'invalid_key') return named(issue.issues[0]?.message ?? issue.message);
  if (given === undefined && field !== '') return named('missing');
  return named(issue.message);
}

const said = (value: unknown) => (value === undefined ? 'missing' : JSON.stringify(value));

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value);
}
