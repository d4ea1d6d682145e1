/**
 * What a shell loads. The words of the line are passed as they are and never evaluated, and candidates are quoted: a
 * name of a table can be a command in backticks. That is why this is not left to @bomb.sh/tab 0.0.22: its bash script
 * evaluates the line and expands the candidates, cannot be loaded twice, and completes no files.
 */

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

const BASH = `# Completion of cdc for bash, in ~/.bashrc: source <(cdc complete bash)
_cdc_complete() {
  local line quoted typed=\${COMP_LINE:0:COMP_POINT} kept=
  COMPREPLY=()
  # Bash replaces only what follows the last =, if that is one of its word breaks.
  typed=\${typed##*[[:space:]]}
  if [[ $typed == -*=* && $COMP_WORDBREAKS == *=* ]]; then kept=\${typed%"\${typed##*=}"}; fi
  while IFS= read -r line; do
    case $line in
      :files) return ;;
      :) compopt +o default 2>/dev/null ;;
      *)
        printf -v quoted %q "\${line%%$'\\t'*}"
        COMPREPLY+=("\${quoted#"$kept"}")
        ;;
    esac
  done < <(cdc complete bash -- "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -o default -F _cdc_complete cdc
`;

const ZSH = `# Completion of cdc for zsh, in ~/.zshrc behind compinit: source <(cdc complete zsh)
_cdc_complete() {
  local line
  local -a values shown
  for line in "\${(@f)$(cdc complete zsh -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      :files) compset -P '-*='; _files; return ;;
      :|'') ;;
      *) values+=("\${line%%$'\\t'*}"); shown+=("\${line/$'\\t'/  }") ;;
    esac
  done
  (( $#values )) && compadd -l -d shown -a values
}
compdef _cdc_complete cdc
`;

const FISH = `# Completion of cdc for fish: cdc complete fish > ~/.config/fish/completions/cdc.fish
function __cdc_complete
    set -l lines (cdc complete fish -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)
    if test "$lines[1]" = ":files"
        set -l kept (string match -r '^-[^=]*=' -- (commandline -ct))
        set -l path (string replace -r '^-[^=]*=' '' -- (commandline -ct))
        string replace -r -- '^' "$kept" (__fish_complete_path $path)
    else
        string join \\n -- $lines[2..]
    end
end
complete -c cdc -f -a '(__cdc_complete)'
`;

export const SCRIPTS: Record<Shell, string> = { bash: BASH, zsh: ZSH, fish: FISH };

/**
 * The words of a command line as bash would read them, without what it would expand. The last one is incomplete, and
 * empty behind a space. Other shells pass words.
 */
export function splitLine(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (const [, escaped, single, double, space, other] of line.matchAll(
    /\\([\s\S])|'([^']*)(?:'|$)|"((?:\\[\s\S]|[^"\\])*)(?:"|$)|(\s+)|([\s\S])/g,
  )) {
    if (space !== undefined) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      const inDouble = double?.replace(/\\(["\\`$])/g, '$1');
      word = `${word ?? ''}${escaped ?? single ?? inDouble ?? other ?? ''}`;
    }
  }
  return [...words, word ?? ''];
}
