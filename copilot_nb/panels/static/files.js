// The content of a file for a prompt: its text, or an image.

const MAX_FILE_BYTES = 200_000;
const MAX_READ_BYTES = 50_000_000; // limit of a file fetched from the server to find its type
const MAX_IMAGE_BYTES = 3_000_000; // larger ones are reduced here: a kernel's connection accepts 10 MB
const MAX_IMAGE_PX = 2000; // of the longest edge

/** @typedef {{name: string, text?: string, type?: string, base64?: string}} Content of a file: text, or an image */

/**
 * Return the content of a file for a prompt; throws an Error that says why it cannot be used.
 * @param {File} file
 * @returns {Promise<Content>}
 */
export async function contentOf(file) {
  const isImage = file.type.startsWith("image/") && file.type !== "image/svg+xml";
  if (!isImage) return { name: file.name, text: await textOf(file) };
  const image = await smallEnough(file);
  const reader = new FileReader();
  await new Promise((resolve, reject) => {
    const failed = () => reject(new Error(`${file.name} cannot be read.`));
    Object.assign(reader, { onload: resolve, onerror: failed }).readAsDataURL(image);
  });
  return { name: file.name, type: image.type, base64: String(reader.result).split(",")[1] };
}

/**
 * Return an image small enough for the kernel: unchanged, or reduced.
 * @param {File} file
 */
async function smallEnough(file) {
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name} is a damaged image, or of a kind that cannot be read here.`);
  }
  const scale = Math.min(1, MAX_IMAGE_PX / Math.max(image.width, image.height));
  if (file.size <= MAX_IMAGE_BYTES && scale === 1) return file;
  const [width, height] = [image.width, image.height].map((edge) => Math.max(1, Math.round(edge * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  if (!context) throw new Error(`${file.name} cannot be made smaller here.`);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const whole = await canvas.convertToBlob({ type: "image/png" });
  if (whole.size <= MAX_IMAGE_BYTES) return whole;
  Object.assign(context, { globalCompositeOperation: "destination-over", fillStyle: "white" });
  context.fillRect(0, 0, canvas.width, canvas.height); // a JPEG has no transparency
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
}

/**
 * Return the text of a file; throws an Error that says why it cannot be put into a prompt.
 * @param {File} file
 */
async function textOf(file) {
  if (file.size > MAX_FILE_BYTES) {
    throw new Error(`${file.name} is too large (${Math.ceil(file.size / 1000)} kB; 200 kB go into a prompt)`);
  }
  const text = decoded(await file.arrayBuffer());
  if (text === null) throw new Error(`${file.name} is neither text nor an image: it cannot be attached.`);
  return text;
}

/** @param {ArrayBuffer} bytes */
function decoded(bytes) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return text.includes("\0") ? null : text;
  } catch {
    return null;
  }
}

export const LAB_FILE = "application/x-jupyter-icontentsrich";

/**
 * The files dragged from JupyterLab's file browser, which reports only the last of several.
 * @param {any} event Lumino's
 * @returns {Promise<File>[]}
 */
export function filesOfLab(event) {
  const { model, withContent } = event.mimeData.getData(LAB_FILE);
  const number = event.mimeData.getData("application/x-jupyter-icontents")?.length ?? 1;
  const file = async () => {
    if (number > 1) throw new Error("JupyterLab hands over one file at a time: drag them one by one.");
    if (model.type === "directory") throw new Error(`${model.name} is a folder: it cannot be attached.`);
    if (model.size > MAX_READ_BYTES) throw new Error(`${model.name} is too large to be attached.`);
    const { content, format, mimetype } = await withContent();
    /** @type {Record<string, () => BlobPart>} */
    const parts = {
      base64: () => Uint8Array.from(atob(content), (char) => char.charCodeAt(0)),
      json: () => JSON.stringify(content, null, 1),
    };
    return new File([parts[format]?.() ?? content], model.name, { type: mimetype ?? "" });
  };
  return [file()];
}
