// A cell that begins with %%copilot is edited as prose: Markdown, wrapped, with spell check, no brackets closed.
//
// An editor extension is the one part that can break every notebook, so it is small: all it adds to an editor that
// holds no prompt is an empty compartment and a look at the first characters after each change. Lab sets a cell's MIME
// type at each start of a kernel and whenever a cell is inserted, so the language is put above Lab's own, which stays
// underneath: of several, CodeMirror takes the first.

import { dress } from "./notebooks.js";
import { HEAD_CHARS, isInProse, isPrompt, marksOf, onlyMovesMarks } from "./text.js";

/** @param {import("./plugins.js").Use} use */
export async function prompts(use) {
  const modules = ["@jupyterlab/codemirror", "@codemirror/language", "@codemirror/state", "@codemirror/view"];
  const [lab, { Language }, state, view] = await Promise.all(modules.map(use));
  const { ICompletionProviderManager = null } = await use("@jupyterlab/completer").catch(() => ({}));
  const { IEditorExtensionRegistry, IEditorLanguageRegistry, EditorExtensionRegistry } = lab;
  return {
    id: "copilot-nb:prompts",
    description: "Edits cells that begin with %%copilot as prose.",
    autoStart: true,
    optional: [IEditorExtensionRegistry, IEditorLanguageRegistry, ICompletionProviderManager].filter(Boolean),
    /** @param {[any, any, any, any]} services in an application without editors, Voilà, they are null */
    activate(...[_app, editors, languages, completers]) {
      if (!editors || !languages) return;
      dress();
      completers?.registerProvider(silence);
      const switching = switchingFor({ ...state, ...view, Language }, languages);
      editors.addExtension({
        name: "copilot-nb:prompts",
        factory: (/** @type {any} */ { inline, model }) =>
          inline && model.type === "code"
            ? EditorExtensionRegistry.createImmutableExtension(switching(model.sharedModel.getSource()))
            : null,
      });
    },
  };
}

/** Offers nothing; it is asked first whether names pop up by themselves where a prompt's prose is typed. */
const silence = {
  identifier: "CompletionProvider:copilot-nb",
  rank: 1000,
  renderer: null,
  /** @param {any} context */
  async isApplicable({ editor }) {
    if (!editor) return false;
    return isInProse(editor.model.sharedModel.getSource(), editor.getOffsetAt(editor.getCursorPosition()));
  },
  /** @param {{offset: number}} request */
  fetch: async ({ offset }) => ({ start: offset, end: offset, items: [] }),
  shouldShowContinuousHint: () => false,
};

/**
 * What makes, for an editor that begins with a text, the extension that switches it between code and prose.
 * @param {any} codemirror its classes
 * @param {any} languages Lab's languages
 * @returns {(text: string) => any}
 */
function switchingFor(codemirror, languages) {
  const { Compartment, EditorState, Prec, ViewPlugin } = codemirror;
  const look = lookOf(codemirror);
  let prose = /** @type {any} */ (null); // once Markdown is loaded, which no editor waits for
  let loading = /** @type {Promise<void> | null} */ (null);
  const load = async () => {
    const { support } = await languages.getLanguage("ipythongfm"); // as in Lab's Markdown cells
    // the code cell's own Python is underneath, and with it what colours its built-in names: once is enough
    const more = [support.support].flat(Infinity).filter((each) => !(each instanceof ViewPlugin));
    prose = [look, proseLanguage(support.language, codemirror), more];
  };
  return (text) => {
    const slot = new Compartment();
    const early = [
      look,
      ViewPlugin.define((/** @type {any} */ editor) => {
        loading ??= load();
        void loading.then(() => {
          if (slot.get(editor.state) === early) editor.dispatch({ effects: slot.reconfigure(prose) });
        });
        return {};
      }),
    ];
    const wanted = (/** @type {string} */ head) => (isPrompt(head) ? (prose ?? early) : []);
    const follow = EditorState.transactionExtender.of((/** @type {any} */ { docChanged, newDoc, startState }) => {
      if (!docChanged) return null;
      const next = wanted(newDoc.sliceString(0, HEAD_CHARS));
      const isSame = Boolean(next.length) === Boolean(slot.get(startState).length);
      return isSame ? null : { effects: slot.reconfigure(next) };
    });
    return [Prec.highest(slot.of(wanted(text.slice(0, HEAD_CHARS)))), follow];
  };
}

/**
 * Lab's Markdown, but for the first line, which is a command.
 * @param {any} markdown
 * @param {{Language: any}} codemirror
 */
function proseLanguage(markdown, { Language }) {
  const parser = markdown.parser.configure({
    defineNodes: [{ name: "CopilotLine", block: true }],
    parseBlock: [
      {
        name: "CopilotLine",
        before: "LinkReference",
        parse(/** @type {any} */ block, /** @type {any} */ line) {
          if (block.lineStart > 0 || !isPrompt(line.text)) return false;
          block.addElement(block.elt("CopilotLine", 0, line.text.length));
          block.nextLine();
          return true;
        },
      },
    ],
  });
  return new Language(markdown.data, parser, [], "markdown");
}

/** How a prompt looks and behaves, whatever its language. @param {any} codemirror */
function lookOf({ Decoration, EditorState, EditorView, ViewPlugin }) {
  const unspelled = { attributes: { spellcheck: "false" } };
  const mark = (/** @type {string} */ kind) => Decoration.mark({ class: `copilot-nb-${kind}`, ...unspelled });
  const kinds = /** @type {Record<string, any>} */ ({
    line: Decoration.line({ class: "copilot-nb-line", ...unspelled }),
  });
  for (const kind of ["magic", "option", "word", "expression"]) kinds[kind] = mark(kind);
  class Marks {
    decorations = Decoration.none;
    /** Where the first line ends. */
    bodyFrom = 0;

    /** @param {any} editor */
    constructor({ state }) {
      this.renew(state.doc);
    }

    /** @param {any} update */
    update({ docChanged, changes, startState, state }) {
      if (!docChanged) return;
      let isMoved = true;
      changes.iterChanges((/** @type {[number, number, number, number]} */ ...[fromA, toA, fromB, toB]) => {
        const before = startState.doc.sliceString(Math.max(0, fromA - 1), toA + 1);
        const after = state.doc.sliceString(Math.max(0, fromB - 1), toB + 1);
        isMoved &&= fromA > this.bodyFrom && onlyMovesMarks(before, after);
      });
      if (isMoved) this.decorations = this.decorations.map(changes);
      else this.renew(state.doc);
    }

    /** Mark the whole text. @param {any} doc */
    renew(doc) {
      const marks = marksOf(doc.toString());
      const ranges = marks.map(({ from, to, kind }) => kinds[kind].range(from, kind === "line" ? from : to));
      this.decorations = Decoration.set(ranges, true);
      this.bodyFrom = marks[0].to;
    }
  }
  return [
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({ spellcheck: "true" }),
    EditorView.editorAttributes.of({ class: "copilot-nb-prompt" }),
    EditorState.languageData.of(() => [{ closeBrackets: { brackets: [] } }]),
    ViewPlugin.fromClass(Marks, { decorations: (/** @type {Marks} */ { decorations }) => decorations }),
  ];
}
