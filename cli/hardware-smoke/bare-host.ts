// Hosts of URLs for everything that takes no URL. Pure.

/** An IPv6 address without the brackets that it has in a URL; any other host as it is. */
export const bareHost = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');
