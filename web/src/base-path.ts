/** Where the page stands: "" at the root of its host, `/atoll` behind a proxy that gives it a path of its own. */
const thisFile = import.meta.url;

/** The page's files stand in one folder below it, built or not. Without a slash at its end. */
export const basePath = new URL("..", thisFile).pathname.replace(/\/+$/, "");
