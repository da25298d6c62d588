// JSON that people write: with comments and a comma too many, as editors know it under the name JSONC.
// Everything else is as strict as JSON. Pure.

/**
 * A comment is from `//` to the end of the line, or as in C; not inside of a text. Throws what
 * JSON.parse throws, with the positions of `text`: what is left out becomes blanks.
 */
export function parseCommentedJson(text: string): unknown {
  const bare = text.replace(
    /("(?:[^"\\\n]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (found, string?: string) => string ?? blank(found),
  );
  const plain = bare.replace(
    /("(?:[^"\\\n]|\\.)*")|(?<![[{,]\s*),(?=\s*[\]}])/g,
    (_, string?: string) => string ?? ' ',
  );
  return JSON.parse(plain);
}

/** The same lines and columns. */
const blank = (text: string): string => text.replace(/[^\n]/g, ' ');
