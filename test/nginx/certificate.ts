import { join } from 'node:path';
import { execa } from 'execa';

/** Files of a self-signed certificate, which is its own authority too, and of its key. */
export type Certificate = { cert: string; key: string };

/**
 * Make a certificate.
 *
 * @param folder where its files go
 * @param name the host name that it is for
 */
export async function makeCertificate(folder: string, name = 'localhost'): Promise<Certificate> {
  const cert = join(folder, `${name}.crt`);
  const key = join(folder, `${name}.key`);
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const whose = ['-days', '3650', '-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`];
  await execa('openssl', ['req', '-x509', ...curve, ...whose, '-keyout', key, '-out', cert]);
  return { cert, key };
}
