// Hands a widget all messages of its kernel side.

/**
 * Take a widget's messages from its comm, in their order.
 *
 * anywidget (0.11) holds them back until it has loaded the widget's module, and for good if that took more than two
 * seconds, as on a busy machine: then the page can send, but never hears an answer. When this runs, the module has been
 * loaded.
 * @param {{widget_manager?: any}} model as anywidget hands it over
 * @param {string} id of the widget's comm
 */
export async function takeMessages(model, id) {
  const widget = await model.widget_manager?.get_model?.(id);
  widget?.comm?.on_msg((/** @type {any} */ message) => {
    const { method, content } = message.content.data;
    if (method !== "custom") return widget._handle_comm_msg(message);
    widget.trigger("msg:custom", content, message.buffers);
  });
}
